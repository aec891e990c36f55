//! The simplest model that reads: which tokens a text has, and how often.

use std::collections::{BTreeMap, BTreeSet};

/// Multinomial naive Bayes over token counts, with one added to every count (McCallum and Nigam
/// 1998, "A comparison of event models for naive Bayes text classification"); scikit-learn's
/// `MultinomialNB()`. Nothing about it has to be chosen, so it is a fair model to compare with.
#[derive(Clone, Debug)]
pub struct BagOfWords {
    /// Of each class with rows: the class, and the log of its share.
    priors: Vec<(usize, f64)>,
    /// Of each token, the logs of its probability in these classes.
    tokens: BTreeMap<u32, Vec<f64>>,
}

impl BagOfWords {
    /// Counts labelled rows of tokens. `None` where there are none.
    pub fn fit<'a>(rows: impl Iterator<Item = (&'a [u32], usize)> + Clone) -> Option<Self> {
        let classes: BTreeSet<usize> = rows.clone().map(|(_, label)| label).collect();
        let classes: Vec<usize> = classes.into_iter().collect();
        let mut examples = vec![0.0_f64; classes.len()];
        let mut counts: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (tokens, label) in rows {
            let Ok(class) = classes.binary_search(&label) else {
                continue;
            };
            examples[class] += 1.0;
            for token in tokens {
                let of_token = counts.entry(*token);
                of_token.or_insert_with(|| vec![1.0; classes.len()])[class] += 1.0;
            }
        }
        let total: f64 = examples.iter().sum();
        let mut sums = vec![0.0; classes.len()];
        for of_token in counts.values() {
            for (sum, count) in sums.iter_mut().zip(of_token) {
                *sum += count;
            }
        }
        for of_token in counts.values_mut() {
            for (count, sum) in of_token.iter_mut().zip(&sums) {
                *count = (*count / sum).ln();
            }
        }
        let priors: Vec<(usize, f64)> = classes
            .into_iter()
            .zip(&examples)
            .map(|(class, count)| (class, (count / total).ln()))
            .collect();
        (!priors.is_empty()).then_some(Self {
            priors,
            tokens: counts,
        })
    }

    /// The likeliest class of a row; of equal ones the first. Tokens that it was never shown say
    /// nothing.
    pub fn predict(&self, tokens: &[u32]) -> usize {
        let known: Vec<&Vec<f64>> = tokens.iter().filter_map(|t| self.tokens.get(t)).collect();
        let mut best = (0, f64::NEG_INFINITY);
        for (place, (class, prior)) in self.priors.iter().enumerate() {
            let likelihood: f64 = known.iter().map(|of_token| of_token[place]).sum();
            if prior + likelihood > best.1 {
                best = (*class, prior + likelihood);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(rows: &[(Vec<u32>, usize)]) -> Option<BagOfWords> {
        BagOfWords::fit(
            rows.iter()
                .map(|(tokens, label)| (tokens.as_slice(), *label)),
        )
    }

    /// By hand: class 1 has tokens 7, 7, 8 and class 4 has 8, 9. With one added, of three tokens,
    /// token 8 has 2/6 in class 1 and 2/5 in class 4.
    #[test]
    fn probabilities_are_those_calculated_by_hand() {
        let model = fit(&[(vec![7, 7], 1), (vec![8], 1), (vec![8, 9], 4)]).unwrap();
        let close = |a: f64, b: f64| (a - b.ln()).abs() < 1e-12;
        assert!(close(model.tokens[&8][0], 2.0 / 6.0) && close(model.tokens[&8][1], 2.0 / 5.0));
        assert!(close(model.priors[0].1, 2.0 / 3.0));
        // 2/3 · 3/6 against 1/3 · 1/5, and 2/3 · 1/6 against 1/3 · 2/5.
        assert_eq!((model.predict(&[7]), model.predict(&[9])), (1, 4));
        // 2/3 · 2/6 against 1/3 · 2/5.
        assert_eq!(model.predict(&[8]), 1);
    }

    #[test]
    fn rows_without_a_known_token_are_of_the_largest_class() {
        let model = fit(&[(vec![1], 2), (vec![], 0), (vec![2], 2)]).unwrap();
        assert_eq!((model.predict(&[]), model.predict(&[99])), (2, 2));
        assert!(fit(&[]).is_none());
        assert_eq!(fit(&[(vec![], 3)]).unwrap().predict(&[5]), 3);
    }
}
