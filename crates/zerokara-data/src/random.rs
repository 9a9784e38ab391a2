//! Random numbers whose sequence is fixed forever: the same seed gives the same order of samples in every version, on
//! every platform. That rules out generators and shuffles of crates that may change them; both are a few lines here.

/// What a draw is for. Each purpose has its own stream, so that none is a copy of another.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Shuffle = 1,
    Choice = 2,
    Validation = 3,
    Augment = 4,
    Stratify = 5,
    Group = 6,
    Bucket = 7,
    Flip = 8,
    Scale = 9,
    Crop = 10,
    Erase = 11,
    Colour = 12,
    Elastic = 13,
    Mix = 14,
    Balance = 15,
    Window = 16,
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(crate) struct Random {
    state: u64,
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of one `purpose`, told apart by up to two numbers such as the epoch and the sample.
    pub(crate) fn new(seed: u64, purpose: Purpose, first: u64, second: u64) -> Self {
        let state = [purpose as u64, first, second]
            .iter()
            .fold(mix(seed.wrapping_add(GAMMA)), |state, &word| {
                mix(state.wrapping_add(GAMMA) ^ word)
            });
        Random { state }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A uniform integer from 0 to `bound - 1`; `bound` must not be 0. Exactly uniform, by rejection (Lemire, "Fast
    /// random integer generation in an interval", 2019).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as usize;
            }
        }
    }

    /// A uniform number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniform number in [-1, 1).
    pub(crate) fn symmetric(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// A uniform number between two.
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// A number between two above 0 whose logarithm is uniform, so that a factor and its inverse are equally likely.
    pub(crate) fn log_between(&mut self, from: f64, to: f64) -> f64 {
        // Rounding of the exponential function must not lead out of the range.
        self.between(from.ln(), to.ln()).exp().clamp(from, to)
    }

    /// A number from Beta(alpha, alpha), for any alpha above 0: with U uniform in (0, 1] and V in [0, 1),
    /// `1/2 + sign(cos 2πV) / 2 · sqrt(w / (1 + w))` where `w = (U^(-1/alpha) − 1) cos² 2πV` (Devroye, "Random variate
    /// generation in one line of code", 1996).
    pub(crate) fn beta(&mut self, alpha: f64) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        let cos = (std::f64::consts::TAU * v).cos();
        // For small alpha this is infinite, and the draw is 0 or 1.
        let w = (-u.ln() / alpha).exp_m1() * cos * cos;
        let distance = (1.0 / (1.0 + 1.0 / w)).sqrt();
        0.5 + 0.5 * distance.copysign(cos)
    }

    /// Fisher and Yates's shuffle, from the last place to the first.
    pub(crate) fn shuffle(&mut self, values: &mut [usize]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sequence that the authors' C code gives for the seed 1234567.
    #[test]
    fn splitmix64_is_the_published_one() {
        let mut random = Random { state: 1_234_567 };
        let values: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            values,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    /// Ten cells, 100,000 draws: chi-square with 9 degrees of freedom stays below 33.7 in 9,999 of 10,000 cases.
    #[test]
    fn below_is_uniform() {
        let mut random = Random::new(7, Purpose::Choice, 0, 0);
        let mut counts = [0f64; 10];
        (0..100_000).for_each(|_| counts[random.below(10)] += 1.0);
        let chi: f64 = counts.iter().map(|c| (c - 1e4).powi(2) / 1e4).sum();
        assert!(chi < 33.7, "{chi}");
    }

    /// Beta(alpha, alpha) has the mean 1/2 and the variance 1 / (4 (2 alpha + 1)). Beta(1, 1) is uniform, and Beta(1/2, 1/2)
    /// has the distribution function `2/π · asin √x`.
    #[test]
    fn beta_has_its_moments_and_its_distribution() {
        let draws = |alpha: f64| {
            let mut random = Random::new(5, Purpose::Mix, 0, alpha.to_bits());
            (0..40_000).map(|_| random.beta(alpha)).collect::<Vec<_>>()
        };
        for alpha in [1e-9, 0.1, 0.5, 1.0, 4.0, 1e9] {
            let all = draws(alpha);
            assert!(all.iter().all(|x| (0.0..=1.0).contains(x)));
            let mean = all.iter().sum::<f64>() / 4e4;
            let variance = all.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / 4e4;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            // Five deviations of the mean; that of the variance is smaller.
            assert!(
                (mean - 0.5).abs() < 5.0 * (expected / 4e4).sqrt() + 1e-12,
                "{alpha}: {mean}"
            );
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "{alpha}: {variance}"
            );
        }
        type Share = fn(f64) -> f64;
        let uniform: Share = |x| x;
        let arcsine: Share = |x| x.sqrt().asin() / std::f64::consts::FRAC_PI_2;
        for (alpha, share) in [(1.0, uniform), (0.5, arcsine)] {
            let all = draws(alpha);
            for x in [0.01, 0.1, 0.3, 0.5, 0.8, 0.99] {
                let below = all.iter().filter(|&&draw| draw < x).count() as f64 / 4e4;
                // Five deviations of a share of 40,000.
                assert!(
                    (below - share(x)).abs() < 0.0125,
                    "{alpha}: {below} below {x}"
                );
            }
        }
    }

    #[test]
    fn keys_differ_in_every_part() {
        let first = |seed, purpose, a, b| Random::new(seed, purpose, a, b).next_u64();
        let mut values = vec![
            first(0, Purpose::Shuffle, 0, 0),
            first(1, Purpose::Shuffle, 0, 0),
            first(0, Purpose::Choice, 0, 0),
            first(0, Purpose::Shuffle, 1, 0),
            first(0, Purpose::Shuffle, 0, 1),
        ];
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 5);
    }
}
