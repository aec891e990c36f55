//! Attention's bias by how far apart two tokens are, as MPNet has it (Raffel et al. 2020, §2.1).

/// How many learned numbers there are for each head: half for tokens behind, half for those ahead.
pub const BUCKETS: usize = 32;

/// The first distance of each bucket from 8 tokens apart on: 8 · 16^(k/8), rounded up. Up to there
/// each distance has a bucket of its own.
const FIRST: [usize; 8] = [8, 12, 16, 23, 32, 46, 64, 91];

/// The bucket of a `key` for a `query`, both places in a text.
pub(crate) fn bucket(query: usize, key: usize) -> usize {
    let ahead = match key > query {
        true => BUCKETS / 2,
        false => 0,
    };
    let distance = query.abs_diff(key);
    let near = FIRST[0];
    let bucket = match distance < near {
        true => distance,
        // At least one of them is at most the distance.
        false => near - 1 + FIRST.iter().filter(|first| **first <= distance).count(),
    };
    ahead + bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    /// transformers 5.24, `MPNetEncoder.relative_position_bucket` of -600 to 600: where the bucket
    /// changes, and to which.
    const CHANGES: [(i32, usize); 31] = [
        (-600, 15),
        (-90, 14),
        (-63, 13),
        (-45, 12),
        (-31, 11),
        (-22, 10),
        (-15, 9),
        (-11, 8),
        (-7, 7),
        (-6, 6),
        (-5, 5),
        (-4, 4),
        (-3, 3),
        (-2, 2),
        (-1, 1),
        (0, 0),
        (1, 17),
        (2, 18),
        (3, 19),
        (4, 20),
        (5, 21),
        (6, 22),
        (7, 23),
        (8, 24),
        (12, 25),
        (16, 26),
        (23, 27),
        (32, 28),
        (46, 29),
        (64, 30),
        (91, 31),
    ];

    #[test]
    fn every_distance_has_the_bucket_that_transformers_gives_it() {
        for distance in -600..=600_i32 {
            let mut changes = CHANGES.iter().rev();
            let expected = changes.find(|(from, _)| *from <= distance).expect("one").1;
            let query = 700_usize;
            let key = query
                .checked_add_signed(distance as isize)
                .expect("a place");
            assert_eq!(bucket(query, key), expected, "{distance}");
        }
    }
}
