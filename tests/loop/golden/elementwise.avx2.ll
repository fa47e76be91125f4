define void @kernel(ptr %buffers, i64 %begin, i64 %end, i64 %worker) #0 {
entry:
  %v1 = getelementptr ptr, ptr %buffers, i64 0
  %b0 = load ptr, ptr %v1, align 8
  %v2 = getelementptr ptr, ptr %buffers, i64 1
  %b1 = load ptr, ptr %v2, align 8
  %v3 = getelementptr ptr, ptr %buffers, i64 2
  %b2 = load ptr, ptr %v3, align 8
  br label %L4
L4:
  %i5 = phi i64 [ 0, %entry ], [ %n6, %L20 ]
  %v10 = mul nsw i64 %i5, 100
  %v11 = getelementptr float, ptr %b0, i64 %v10
  %v18 = getelementptr float, ptr %b2, i64 %v10
  br label %L7
L7:
  %i8 = phi i64 [ 0, %L4 ], [ %n9, %L7 ]
  %v12 = getelementptr float, ptr %v11, i64 %i8
  %v13 = load <32 x float>, ptr %v12, align 4
  %v14 = getelementptr float, ptr %b1, i64 %i8
  %v15 = load <32 x float>, ptr %v14, align 4
  %v16 = fadd <32 x float> %v13, %v15
  %v17 = fmul <32 x float> %v16, splat (float 0x4000000000000000)
  %v19 = getelementptr float, ptr %v18, i64 %i8
  store <32 x float> %v17, ptr %v19, align 4
  %n9 = add nsw i64 %i8, 32
  %v21 = icmp slt i64 %n9, 96
  br i1 %v21, label %L7, label %L20
L20:
  %v23 = getelementptr float, ptr %v11, i64 96
  %v24 = call <4 x float> @llvm.masked.load.v4f32.p0(ptr align 4 %v23, <4 x i1> <i1 true, i1 true, i1 true, i1 true>, <4 x float> zeroinitializer)
  %v25 = getelementptr float, ptr %b1, i64 96
  %v26 = call <4 x float> @llvm.masked.load.v4f32.p0(ptr align 4 %v25, <4 x i1> <i1 true, i1 true, i1 true, i1 true>, <4 x float> zeroinitializer)
  %v27 = fadd <4 x float> %v24, %v26
  %v28 = fmul <4 x float> %v27, splat (float 0x4000000000000000)
  %v29 = getelementptr float, ptr %v18, i64 96
  call void @llvm.masked.store.v4f32.p0(<4 x float> %v28, ptr align 4 %v29, <4 x i1> <i1 true, i1 true, i1 true, i1 true>)
  %n6 = add nsw i64 %i5, 1
  %v31 = icmp slt i64 %n6, 512
  br i1 %v31, label %L4, label %L30
L30:
  br label %done
done:
  ret void
}
attributes #0 = { nounwind alignstack=32 "prefer-vector-width"="256" }
