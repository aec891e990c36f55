//! Matrix products of slices, by the `gemm` crate on one thread.
//!
//! The only unsafe code of the project: `gemm` takes pointers and strides. A [`Matrix`] can
//! only be made where every element that its strides reach lies in its slice.
#![allow(unsafe_code)]

use gemm::Parallelism;
#[cfg(target_arch = "x86_64")]
use gemm_common::simd::V3 as Avx2;

use super::instructions::Instructions;

/// A matrix in a slice that it borrows.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    shape: Shape,
}

/// A matrix in a slice that it may write to.
pub(super) struct MatrixMut<'a> {
    values: &'a mut [f32],
    shape: Shape,
}

#[derive(Clone, Copy)]
struct Shape {
    rows: usize,
    columns: usize,
    /// From one row to the next.
    row_stride: usize,
    /// From one column to the next.
    column_stride: usize,
}

impl Shape {
    /// Rows of `columns` numbers that lie `stride` apart.
    ///
    /// # Panics
    /// Where a slice of `len` numbers doesn't reach as far, or rows overlap.
    fn of_rows(len: usize, rows: usize, columns: usize, stride: usize) -> Self {
        let needed = rows
            .checked_sub(1)
            .and_then(|rows| rows.checked_mul(stride))
            .and_then(|start| start.checked_add(columns))
            .unwrap_or(0);
        assert!(
            needed <= len && columns <= stride.max(1) && len <= isize::MAX as usize,
            "{rows} rows of {columns} numbers, {stride} apart, don't fit {len} numbers"
        );
        Self {
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }
}

impl<'a> Matrix<'a> {
    /// The first `rows` rows of `columns` numbers each.
    ///
    /// # Panics
    /// Where the slice is shorter.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// `columns` numbers from each of `rows` rows that lie `stride` apart.
    ///
    /// # Panics
    /// Where the slice is shorter.
    pub(super) fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        Self {
            values,
            shape: Shape::of_rows(values.len(), rows, columns, stride),
        }
    }

    /// Rows for columns.
    pub(super) fn transposed(self) -> Self {
        let Shape {
            rows,
            columns,
            row_stride,
            column_stride,
        } = self.shape;
        Self {
            values: self.values,
            shape: Shape {
                rows: columns,
                columns: rows,
                row_stride: column_stride,
                column_stride: row_stride,
            },
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// The first `rows` rows of `columns` numbers each.
    ///
    /// # Panics
    /// Where the slice is shorter.
    pub(super) fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// `columns` numbers from each of `rows` rows that lie `stride` apart.
    ///
    /// # Panics
    /// Where the slice is shorter.
    pub(super) fn strided(
        values: &'a mut [f32],
        rows: usize,
        columns: usize,
        stride: usize,
    ) -> Self {
        let shape = Shape::of_rows(values.len(), rows, columns, stride);
        Self { values, shape }
    }
}

/// `to` = `scale` a b.
pub(super) fn multiply(to: MatrixMut<'_>, scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
    product(to, scale, a, b, false);
}

/// `to` += `scale` a b.
pub(super) fn add_product(to: MatrixMut<'_>, scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
    product(to, scale, a, b, true);
}

fn product(to: MatrixMut<'_>, scale: f32, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    let MatrixMut { values, shape } = to;
    assert!(
        shape.rows == a.shape.rows
            && shape.columns == b.shape.columns
            && a.shape.columns == b.shape.rows,
        "sizes of a product don't fit"
    );
    if shape.rows == 0 || shape.columns == 0 {
        return;
    }
    let inner = a.shape.columns;
    if inner == 0 {
        if !add {
            for row in values.chunks_mut(shape.row_stride).take(shape.rows) {
                row[..shape.columns].fill(0.0);
            }
        }
        return;
    }
    let to = values.as_mut_ptr();
    // SAFETY: all sizes are above zero, so by `Shape::of_rows` every element at
    // row · row_stride + column · column_stride lies in its slice (transposing swaps both pairs),
    // offsets fit an isize, and the elements of `values`, which is borrowed for writing and so
    // overlaps neither `a` nor `b`, are distinct as rows don't overlap. All numbers in the
    // slices are initialised.
    unsafe {
        match narrowed() {
            #[cfg(target_arch = "x86_64")]
            Some(simd) => in_avx2(simd, (to, &shape), scale, &a, &b, add),
            _ => in_widest((to, &shape), scale, &a, &b, add),
        }
    }
}

/// `gemm`'s token of AVX2, where this processor could do more and isn't to.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn narrowed() -> Option<Avx2> {
    Instructions::are_narrowed().then(avx2).flatten()
}

/// Other processors have one set of instructions, and nothing to choose.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn narrowed() -> Option<()> {
    None
}

/// The token where this processor has AVX2.
#[cfg(target_arch = "x86_64")]
fn avx2() -> Option<Avx2> {
    <Avx2 as gemm_common::simd::MixedSimd<f32, f32, f32, f32>>::try_new()
}

/// By `gemm`'s own choice: the widest instructions that there are.
///
/// # Safety
/// As for [`gemm::gemm`]: every element of the three matrices is there, `to`'s may be written and
/// overlap none of the others.
unsafe fn in_widest(
    (to, shape): (*mut f32, &Shape),
    scale: f32,
    a: &Matrix<'_>,
    b: &Matrix<'_>,
    add: bool,
) {
    // SAFETY: the caller's.
    unsafe {
        gemm::gemm(
            shape.rows,
            shape.columns,
            a.shape.columns,
            to,
            shape.column_stride as isize,
            shape.row_stride as isize,
            add,
            a.values.as_ptr(),
            a.shape.column_stride as isize,
            a.shape.row_stride as isize,
            b.values.as_ptr(),
            b.shape.column_stride as isize,
            b.shape.row_stride as isize,
            1.0_f32,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// By the kernels that `gemm` takes where there is no AVX-512, whose choice it doesn't offer.
///
/// # Safety
/// As for [`in_widest`].
#[cfg(target_arch = "x86_64")]
unsafe fn in_avx2(
    simd: Avx2,
    (to, shape): (*mut f32, &Shape),
    scale: f32,
    a: &Matrix<'_>,
    b: &Matrix<'_>,
    add: bool,
) {
    use gemm_f32::microkernel::fma::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
    const LANES: usize = 8;
    // Kernels prefer results whose columns are contiguous, and a row-major result is the transposed
    // product's: (AB)ᵀ = BᵀAᵀ.
    let transposed = shape.column_stride < shape.row_stride;
    let turned = |shape: &Shape| match transposed {
        true => (shape.columns, shape.column_stride, shape.row_stride),
        false => (shape.rows, shape.row_stride, shape.column_stride),
    };
    let (left, right) = if transposed { (b, a) } else { (a, b) };
    let (rows, to_down, to_right) = turned(shape);
    let (_, left_down, left_right) = turned(&left.shape);
    let (inner, right_down, right_right) = turned(&right.shape);
    let columns = if transposed {
        shape.rows
    } else {
        shape.columns
    };
    // SAFETY: the caller's; a transposed matrix has the elements of the matrix.
    unsafe {
        gemm_common::gemm::gemm_basic_generic::<
            _,
            f32,
            LANES,
            { MR_DIV_N * LANES },
            NR,
            MR_DIV_N,
            H_M,
            H_N,
        >(
            simd,
            rows,
            columns,
            inner,
            to,
            to_right as isize,
            to_down as isize,
            add,
            left.values.as_ptr(),
            left_right as isize,
            left_down as isize,
            right.values.as_ptr(),
            right_right as isize,
            right_down as isize,
            1.0,
            scale,
            false,
            false,
            false,
            |a, b, c| a * b + c,
            &UKR,
            &H_UKR,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of either sign that sums keep exactly.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 17;
        (0..count).map(|i| number(i) as f32 - 8.0).collect()
    }

    proptest! {
        #[test]
        fn products_are_those_of_the_definition(
            rows in 0usize..20, inner in 0usize..20, columns in 0usize..20,
            gap in 0usize..3, transposed: [bool; 2], add: bool, seed: u32,
        ) {
            let stored = |rows: usize, columns: usize, transposed: bool| {
                if transposed { (columns, rows) } else { (rows, columns) }
            };
            let (ar, ac) = stored(rows, inner, transposed[0]);
            let (br, bc) = stored(inner, columns, transposed[1]);
            let a = numbers(ar * (ac + gap), seed);
            let b = numbers(br * (bc + gap), seed ^ 0xabcd);
            let view = |values, rows, columns, transposed: bool| {
                let matrix = Matrix::strided(values, rows, columns, columns + gap);
                if transposed { matrix.transposed() } else { matrix }
            };
            let before = numbers(rows * (columns + gap), seed ^ 0x1234);
            let mut to = before.clone();
            #[cfg(target_arch = "x86_64")]
            if let (Some(simd), true) = (avx2(), rows * columns * inner > 0) {
                let mut narrow = before.clone();
                let shape = Shape::of_rows(narrow.len(), rows, columns, columns + gap);
                let a = view(&a, ar, ac, transposed[0]);
                let b = view(&b, br, bc, transposed[1]);
                // SAFETY: of these sizes they were cut.
                unsafe { in_avx2(simd, (narrow.as_mut_ptr(), &shape), 2.0, &a, &b, add) };
                product(MatrixMut { values: &mut to, shape }, 2.0, a, b, add);
                prop_assert_eq!(&narrow, &to);
                to.clone_from(&before);
            }
            product(
                MatrixMut::strided(&mut to, rows, columns, columns + gap),
                2.0,
                view(&a, ar, ac, transposed[0]),
                view(&b, br, bc, transposed[1]),
                add,
            );
            let at = |values: &[f32], width: usize, transposed: bool, i: usize, j: usize| {
                let (i, j) = if transposed { (j, i) } else { (i, j) };
                values[i * (width + gap) + j]
            };
            for i in 0..rows {
                for j in 0..columns + gap {
                    let place = i * (columns + gap) + j;
                    let expected = if j >= columns {
                        before[place]
                    } else {
                        let sum: f32 = (0..inner)
                            .map(|k| at(&a, ac, transposed[0], i, k) * at(&b, bc, transposed[1], k, j))
                            .sum();
                        2.0 * sum + if add { before[place] } else { 0.0 }
                    };
                    prop_assert_eq!(to[place], expected);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "don't fit")]
    fn a_matrix_that_reaches_beyond_its_slice_is_refused() {
        Matrix::strided(&[0.0; 11], 3, 4, 4);
    }

    #[test]
    #[should_panic(expected = "don't fit")]
    fn rows_that_overlap_are_refused() {
        MatrixMut::strided(&mut [0.0; 12], 3, 4, 3);
    }
}
