//! Shapes in which rows pass through the network on a GPU: few, so that each is made ready once,
//! and chosen by a unit's own size, so that padding is bounded and no unit's shape tells, or
//! depends on, who else was drawn.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::trainer::work::Work;

/// Rows are padded to this many tokens at least.
const LEAST_TOKENS: usize = 8;

/// The shape of a micro-batch. What isn't there is masked: tokens of a row, rows of a unit, units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) units: usize,
    /// Of each unit.
    pub(crate) rows: usize,
    /// Of each row.
    pub(crate) tokens: usize,
}

impl Shape {
    /// Rows in all.
    pub(super) fn all_rows(self) -> usize {
        self.units * self.rows
    }

    /// `[units · rows, T, n]` as `[units, rows · T, n]`. T may be less than `tokens`, where a layer
    /// reads fewer.
    pub(super) fn units_of(self, x: &Tensor<3>) -> Tensor<3> {
        let [_, tokens, width] = x.dims();
        x.clone().reshape([self.units, self.rows * tokens, width])
    }
}

/// Units that pass through the network together, and the shape in which they do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MicroBatchPlan {
    pub(super) shape: Shape,
    /// At most as many as the shape has room for.
    pub(super) units: Vec<usize>,
}

/// What becomes of the units that have rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) micro_batches: Vec<MicroBatchPlan>,
    /// Units that are too large for one.
    pub(super) large: Vec<usize>,
}

/// How many units a micro-batch has room for where fewer are left than would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// For the next power of two: little computation is wasted.
    ForThese,
    /// For as many as ever: the shape is the same whoever else was drawn.
    ForAll,
}

impl Work<'_> {
    /// Sorts units into micro-batches.
    pub(super) fn plan(&self, room: Room) -> Plan {
        let mut plan = Plan::default();
        let mut by_size: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (unit, members) in self.units.iter().enumerate() {
            let Some((rows, tokens)) = self.padded(members) else {
                continue;
            };
            if self.batch.holds(members.len().max(rows), rows * tokens) {
                by_size.entry((rows, tokens)).or_default().push(unit);
            } else {
                plan.large.push(unit);
            }
        }
        for ((rows, tokens), units) in by_size {
            let by_tokens = self.batch.batch_tokens() / (rows * tokens);
            let most = (self.batch.rows() / rows).min(by_tokens).max(1);
            for units in units.chunks(most) {
                let room = match room {
                    Room::ForThese => units.len().next_power_of_two().min(most),
                    Room::ForAll => most,
                };
                plan.micro_batches.push(MicroBatchPlan {
                    shape: Shape {
                        units: room,
                        rows,
                        tokens,
                    },
                    units: units.to_vec(),
                });
            }
        }
        plan
    }

    /// A unit's rows, and the tokens of each, padded; `None` for no rows.
    fn padded(&self, members: &[usize]) -> Option<(usize, usize)> {
        let longest = members.iter().map(|row| self.length(*row)).max()?;
        let usual = self.model.options().max_tokens.get();
        // A bucket never exceeds what memory was counted for, nor the model's positions.
        let most = match longest <= usual {
            true => usual,
            false => self.model.spec().max_tokens(),
        };
        let tokens = rung(longest.max(LEAST_TOKENS)).min(most).max(longest);
        let rows = rung(members.len()).min(self.batch.rows());
        Some((rows, tokens))
    }
}

/// The least of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on that isn't below `count`.
fn rung(count: usize) -> usize {
    let power = count.next_power_of_two();
    let between = power / 4 * 3;
    if between >= count { between } else { power }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trainer::{Clipping, Example, PhysicalBatch, support};
    use umbel_proto::classifier::{Pooling, TrainableSet};

    fn examples(lengths: &[usize]) -> Vec<Example> {
        let example = |length: &usize| Example {
            tokens: vec![5; *length].into(),
            target: crate::target::Target::Class(0),
        };
        lengths.iter().map(example).collect()
    }

    fn with_plan<R>(
        (lengths, units): (&[usize], &[Vec<usize>]),
        rows: usize,
        room: Room,
        look: impl FnOnce(Plan) -> R,
    ) -> R {
        let model = support::tiny(support::options(Pooling::Mean, TrainableSet::Head));
        let work = Work {
            model: &model,
            kept: None,
            examples: &examples(lengths),
            units,
            clipping: Clipping::Flat(1.0),
            batch: PhysicalBatch::of_rows(rows),
        };
        look(work.plan(room))
    }

    #[test]
    fn rungs_waste_less_than_half() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(rung), [1, 2, 3, 4, 6, 6, 8, 8]);
        for count in 1..2000 {
            let rung = rung(count);
            assert!(
                count <= rung && (rung - 1) * 2 < count * 3,
                "{count}: {rung}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_unit_passes_once_in_a_shape_that_holds_it(
            lengths in prop::collection::vec(1..=support::POSITIONS, 1..40),
            size in 1usize..5, rows in 1usize..9, fixed: bool,
        ) {
            let all: Vec<usize> = (0..lengths.len()).collect();
            let mut units: Vec<Vec<usize>> = all.chunks(size).map(<[usize]>::to_vec).collect();
            units.push(Vec::new());
            let room = if fixed { Room::ForAll } else { Room::ForThese };
            let plan = with_plan((&lengths, &units), rows, room, |plan| plan);
            let mut seen = plan.large.clone();
            for unit in &plan.large {
                prop_assert!(units[*unit].len() > rows);
            }
            for MicroBatchPlan { shape, units: members } in &plan.micro_batches {
                prop_assert!(!members.is_empty() && members.len() <= shape.units);
                prop_assert!(shape.all_rows() <= rows);
                for unit in members {
                    prop_assert!(units[*unit].len() <= shape.rows);
                    prop_assert!(units[*unit].iter().all(|row| lengths[*row] <= shape.tokens));
                }
                seen.extend(members);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..units.len() - 1).collect::<Vec<_>>());
        }

        #[test]
        fn with_room_for_all_a_units_shape_is_the_same_whoever_else_was_drawn(
            lengths in prop::collection::vec(1..=support::POSITIONS, 1..40), rows in 1usize..9,
        ) {
            let shapes = |count: usize| {
                let units: Vec<Vec<usize>> = (0..count).map(|row| vec![row]).collect();
                with_plan((&lengths, &units), rows, Room::ForAll, |plan| {
                    let mut shapes = BTreeMap::new();
                    for MicroBatchPlan { shape, units } in plan.micro_batches {
                        shapes.extend(units.into_iter().map(|unit| (unit, shape)));
                    }
                    shapes
                })
            };
            let alone = shapes(1);
            let together = shapes(lengths.len());
            prop_assert_eq!(alone.get(&0), together.get(&0));
        }
    }
}
