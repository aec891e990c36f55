//! Four vectors of partial sums become four sums. One after the other, each is halved until one
//! number is left: a dozen instructions a vector. Side by side, four vectors take as many together.

use pulp::Simd;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};

/// Adds up the numbers of each of four vectors.
pub(super) trait Fold<S: Simd>: Copy {
    /// Each vector's sum.
    fn fold(self, simd: S, vectors: [S::f32s; 4]) -> [f32; 4];
}

/// For whatever instructions there are.
#[derive(Clone, Copy)]
pub(super) struct OneByOne;

impl<S: Simd> Fold<S> for OneByOne {
    #[inline(always)]
    fn fold(self, simd: S, [a, b, c, d]: [S::f32s; 4]) -> [f32; 4] {
        [
            simd.reduce_sum_f32s(a),
            simd.reduce_sum_f32s(b),
            simd.reduce_sum_f32s(c),
            simd.reduce_sum_f32s(d),
        ]
    }
}

/// By exchanging halves between vectors, in AVX2 and in AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct SideBySide;

#[cfg(target_arch = "x86_64")]
impl Fold<V4> for SideBySide {
    #[inline(always)]
    fn fold(self, simd: V4, vectors: [<V4 as Simd>::f32s; 4]) -> [f32; 4] {
        use std::arch::x86_64::{__m512, __m512d};
        let wide = simd.avx512f;
        let [a, b, c, d]: [__m512; 4] = pulp::cast(vectors);
        // Of each quarter of a and b: a b a b, and of c and d likewise.
        let both = |x, y| {
            let (low, high) = (wide._mm512_unpacklo_ps(x, y), wide._mm512_unpackhi_ps(x, y));
            pulp::cast::<__m512, __m512d>(wide._mm512_add_ps(low, high))
        };
        let (ab, cd) = (both(a, b), both(c, d));
        // Then a b c d.
        let low: __m512 = pulp::cast(wide._mm512_unpacklo_pd(ab, cd));
        let high: __m512 = pulp::cast(wide._mm512_unpackhi_pd(ab, cd));
        let quarters = wide._mm512_add_ps(low, high);
        let half = simd.avx._mm256_add_ps(
            wide._mm512_castps512_ps256(quarters),
            pulp::cast(wide._mm512_extractf64x4_pd::<1>(pulp::cast(quarters))),
        );
        pulp::cast(simd.sse._mm_add_ps(
            simd.avx._mm256_castps256_ps128(half),
            simd.avx._mm256_extractf128_ps::<1>(half),
        ))
    }
}

#[cfg(target_arch = "x86_64")]
impl Fold<V3> for SideBySide {
    #[inline(always)]
    fn fold(self, simd: V3, vectors: [<V3 as Simd>::f32s; 4]) -> [f32; 4] {
        use std::arch::x86_64::__m256;
        let avx = simd.avx;
        let [a, b, c, d]: [__m256; 4] = pulp::cast(vectors);
        // Of each half: a a b b c c d d, added in pairs, twice.
        let halves = avx._mm256_hadd_ps(avx._mm256_hadd_ps(a, b), avx._mm256_hadd_ps(c, d));
        pulp::cast(simd.sse._mm_add_ps(
            avx._mm256_castps256_ps128(halves),
            avx._mm256_extractf128_ps::<1>(halves),
        ))
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Whole numbers, which sums keep exactly, and their sums.
    fn vectors<const LANES: usize>() -> ([[f32; LANES]; 4], [f32; 4]) {
        let numbers = [0, 1, 2, 3]
            .map(|vector| std::array::from_fn(|lane| (vector * 100 + lane * lane) as f32));
        (numbers, numbers.map(|vector| vector.iter().sum()))
    }

    #[test]
    fn each_vector_has_its_own_sum() {
        if let Some(simd) = V4::try_new() {
            let (numbers, sums) = vectors::<16>();
            assert_eq!(SideBySide.fold(simd, pulp::cast(numbers)), sums);
            assert_eq!(OneByOne.fold(simd, pulp::cast(numbers)), sums);
        }
        if let Some(simd) = V3::try_new() {
            let (numbers, sums) = vectors::<8>();
            assert_eq!(SideBySide.fold(simd, pulp::cast(numbers)), sums);
            assert_eq!(OneByOne.fold(simd, pulp::cast(numbers)), sums);
        }
    }
}
