//! Random splits of a table: what each client gets, by number.
//!
//! All of them deal each parcel to exactly one client, and every client at least one.

use rand::RngExt;
use rand_distr::{Distribution, Gamma};
use umbel_privacy::private_rng::NoiseSource;

/// What each client gets.
type Dealt = Vec<Vec<usize>>;

/// At random, as many to each client as to any other, or one more.
pub(super) fn evenly(parcels: usize, clients: usize, rng: &mut NoiseSource) -> Dealt {
    let sizes = (0..clients).map(|i| parcels / clients + usize::from(i < parcels % clients));
    in_pieces(&shuffled(parcels, rng), sizes)
}

/// At random; how many each client gets is one and its share of the others, and the shares are
/// drawn from a symmetric Dirichlet distribution with `alpha`.
pub(super) fn by_quantity(
    parcels: usize,
    (clients, alpha): (usize, f64),
    rng: &mut NoiseSource,
) -> Dealt {
    let shares = dirichlet(&vec![alpha; clients], rng);
    let spare = parcels - clients;
    // Largest remainders: whole numbers that add up.
    let exact: Vec<f64> = shares.iter().map(|share| share * spare as f64).collect();
    let mut sizes: Vec<usize> = exact.iter().map(|exact| exact.floor() as usize).collect();
    let left = spare.saturating_sub(sizes.iter().sum());
    let mut order: Vec<usize> = (0..clients).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    for client in order.into_iter().cycle().take(left) {
        sizes[client] += 1;
    }
    let sizes = sizes.into_iter().map(|size| size + 1);
    in_pieces(&shuffled(parcels, rng), sizes)
}

/// As many to each client, with its own shares of the labels: Hsu, Qi and Brown 2019, "Measuring the
/// effects of non-identical data distribution", section 3. A client's shares are drawn from a
/// Dirichlet distribution whose mean is the labels' share of the whole table. Its parameters are
/// `alpha` each where labels are equally common, as in most simulators; the paper's own alpha is their
/// sum. When a label has run out, the client's other shares
/// count; when all that it has shares of have, what is left is drawn.
pub(super) fn by_label(
    labels: &[usize],
    (clients, alpha): (usize, f64),
    rng: &mut NoiseSource,
) -> Dealt {
    let kinds = labels.iter().max().map_or(0, |most| most + 1);
    let mut pools = vec![Vec::new(); kinds];
    for parcel in shuffled(labels.len(), rng) {
        pools[labels[parcel]].push(parcel);
    }
    let whole = labels.len() as f64;
    let prior: Vec<f64> = pools
        .iter()
        .map(|pool| alpha * kinds as f64 * pool.len() as f64 / whole)
        .collect();
    let sizes =
        (0..clients).map(|i| labels.len() / clients + usize::from(i < labels.len() % clients));
    sizes
        .map(|size| {
            let shares = dirichlet(&prior, rng);
            let own = (0..size).filter_map(|_| {
                let weights =
                    pools
                        .iter()
                        .zip(&shares)
                        .map(|(pool, share)| match pool.is_empty() {
                            true => 0.0,
                            false => *share,
                        });
                let weights: Vec<f64> = weights.collect();
                let kind = drawn(&weights, rng).or_else(|| {
                    let left: Vec<f64> = pools.iter().map(|pool| pool.len() as f64).collect();
                    drawn(&left, rng)
                })?;
                pools[kind].pop()
            });
            own.collect()
        })
        .collect()
}

/// An index, with a probability in proportion to its weight; none where all are 0.
fn drawn(weights: &[f64], rng: &mut NoiseSource) -> Option<usize> {
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        return None;
    }
    let mut left = rng.random::<f64>() * sum;
    for (i, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Some(i);
        }
    }
    // Rounding left a trifle over.
    weights.iter().rposition(|weight| *weight > 0.0)
}

/// A draw from a Dirichlet distribution, by gamma variables. Their logarithms are used, since those of
/// a small parameter are too small for a float: with U uniform, Gamma(a) = Gamma(a + 1) U^(1/a)
/// (Marsaglia and Tsang 2000, section 8).
fn dirichlet(parameters: &[f64], rng: &mut NoiseSource) -> Vec<f64> {
    let logs: Vec<f64> = parameters
        .iter()
        .map(|a| match Gamma::new(a + 1.0, 1.0) {
            Ok(gamma) if *a > 0.0 => {
                let uniform = 1.0 - rng.random::<f64>();
                gamma.sample(rng).ln() + uniform.ln() / a
            }
            _ => f64::NEG_INFINITY,
        })
        .collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn shuffled(count: usize, rng: &mut NoiseSource) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}

fn in_pieces(order: &[usize], sizes: impl Iterator<Item = usize>) -> Dealt {
    let mut rest = order;
    sizes
        .map(|size| {
            let (own, others) = rest.split_at(size.min(rest.len()));
            rest = others;
            own.to_vec()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> NoiseSource {
        NoiseSource::seeded(1, "test")
    }

    fn check(dealt: &Dealt, parcels: usize, clients: usize) {
        assert_eq!(dealt.len(), clients);
        assert!(dealt.iter().all(|own| !own.is_empty()));
        let mut all: Vec<usize> = dealt.concat();
        all.sort_unstable();
        assert_eq!(all, (0..parcels).collect::<Vec<_>>());
    }

    #[test]
    fn every_split_deals_each_parcel_once_and_leaves_nobody_without() {
        let labels: Vec<usize> = (0..1003).map(|i| i % 7).collect();
        for clients in [1, 10, 1003] {
            check(&evenly(1003, clients, &mut rng()), 1003, clients);
            for alpha in [1e-3, 0.1, 1e6] {
                let dealt = by_quantity(1003, (clients, alpha), &mut rng());
                check(&dealt, 1003, clients);
                let dealt = by_label(&labels, (clients, alpha), &mut rng());
                check(&dealt, 1003, clients);
            }
        }
    }

    #[test]
    fn clients_of_an_even_split_differ_by_one_at_most() {
        let sizes: Vec<usize> = evenly(1003, 10, &mut rng()).iter().map(Vec::len).collect();
        assert!(sizes.iter().all(|size| [100, 101].contains(size)));
    }

    #[test]
    fn a_small_alpha_makes_clients_differ_and_a_large_one_makes_them_alike() {
        let labels: Vec<usize> = (0..10_000).map(|i| i % 10).collect();
        let largest_share = |alpha| {
            let dealt = by_label(&labels, (50, alpha), &mut rng());
            let share = |own: &Vec<usize>| {
                let mut counts = [0.0; 10];
                own.iter().for_each(|parcel| counts[labels[*parcel]] += 1.0);
                counts.into_iter().fold(0.0, f64::max) / own.len() as f64
            };
            dealt.iter().map(share).sum::<f64>() / 50.0
        };
        assert!(largest_share(0.1) > 0.5, "{}", largest_share(0.1));
        assert!(largest_share(100.0) < 0.2, "{}", largest_share(100.0));
        let largest = |alpha| {
            let dealt = by_quantity(10_000, (50, alpha), &mut rng());
            dealt.iter().map(Vec::len).max().unwrap_or(0)
        };
        assert!(largest(0.1) > 1000 && largest(100.0) < 300);
    }

    #[test]
    fn the_mean_of_a_dirichlet_draw_is_that_of_its_parameters() {
        let mut rng = rng();
        let mut mean = [0.0; 3];
        for _ in 0..20_000 {
            let draw = dirichlet(&[0.1, 0.2, 0.7], &mut rng);
            assert!((draw.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            mean.iter_mut()
                .zip(draw)
                .for_each(|(m, x)| *m += x / 20_000.0);
        }
        for (mean, expected) in mean.into_iter().zip([0.1, 0.2, 0.7]) {
            assert!((mean - expected).abs() < 0.015, "{mean} beside {expected}");
        }
    }
}
