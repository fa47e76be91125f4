"""Loop IR: typed scalar expressions (an interned graph) and the statements that loop over them."""
