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
  %i5 = phi i64 [ 0, %entry ], [ %n6, %L33 ]
  %v8 = mul nsw i64 %i5, 100
  %v9 = getelementptr float, ptr %b0, i64 %v8
  %v16 = getelementptr float, ptr %b2, i64 %v8
  %v10 = getelementptr float, ptr %v9, i64 0
  %v11 = load <64 x float>, ptr %v10, align 4
  %v12 = getelementptr float, ptr %b1, i64 0
  %v13 = load <64 x float>, ptr %v12, align 4
  %v14 = fadd <64 x float> %v11, %v13
  %v15 = fmul <64 x float> %v14, splat (float 0x4000000000000000)
  %v17 = getelementptr float, ptr %v16, i64 0
  store <64 x float> %v15, ptr %v17, align 4
  br label %L18
L18:
  %i19 = phi i64 [ 64, %L4 ], [ %n20, %L18 ]
  %v21 = sub nsw i64 100, %i19
  %v22 = trunc i64 %v21 to i32
  %v23 = insertelement <16 x i32> poison, i32 %v22, i64 0
  %v24 = shufflevector <16 x i32> %v23, <16 x i32> poison, <16 x i32> zeroinitializer
  %v25 = icmp slt <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v24
  %v26 = getelementptr float, ptr %v9, i64 %i19
  %v27 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr align 4 %v26, <16 x i1> %v25, <16 x float> zeroinitializer)
  %v28 = getelementptr float, ptr %b1, i64 %i19
  %v29 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr align 4 %v28, <16 x i1> %v25, <16 x float> zeroinitializer)
  %v30 = fadd <16 x float> %v27, %v29
  %v31 = fmul <16 x float> %v30, splat (float 0x4000000000000000)
  %v32 = getelementptr float, ptr %v16, i64 %i19
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v31, ptr align 4 %v32, <16 x i1> %v25)
  %n20 = add nsw i64 %i19, 16
  %v34 = icmp slt i64 %n20, 100
  br i1 %v34, label %L18, label %L33
L33:
  %n6 = add nsw i64 %i5, 1
  %v36 = icmp slt i64 %n6, 512
  br i1 %v36, label %L4, label %L35
L35:
  br label %done
done:
  ret void
}
attributes #0 = { nounwind alignstack=64 "prefer-vector-width"="512" }
