//! Setting samples aside: by chance, with each class in its share, or whole groups at a time.

use crate::error::{Error, Result};
use crate::random::{Purpose, Random};
use crate::split::Split;
use std::collections::HashMap;
use std::hash::Hash;
use zerokara_core::Elements;

/// How much to set aside, for [`Split::validation`] and [`Split::part`]: a number of samples or a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// This many samples.
    Count(usize),
    /// This share of the samples, from 0 to 1.
    Fraction(f64),
}

impl From<usize> for Amount {
    fn from(count: usize) -> Self {
        Amount::Count(count)
    }
}

impl From<f64> for Amount {
    fn from(fraction: f64) -> Self {
        Amount::Fraction(fraction)
    }
}

impl Amount {
    /// So many of `len` samples.
    fn of(self, len: usize) -> Result<usize> {
        match self {
            Amount::Count(count) if count <= len => Ok(count),
            Amount::Count(count) => Err(Error::new(format!(
                "cannot set {count} samples aside: there are only {len}"
            ))),
            Amount::Fraction(share) if (0.0..=1.0).contains(&share) => {
                Ok((share * len as f64).round() as usize)
            }
            Amount::Fraction(share) => Err(Error::new(format!(
                "cannot set a share of {share} aside: give a share from 0 to 1, or a whole number of samples"
            ))),
        }
    }
}

/// Which samples are set aside, for [`Split::part`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Any, by chance.
    Random,
    /// By chance, so that each class has the same share of both parts, but for rounding. The classes are the labels
    /// ([`Split::labels`]). A class with one sample stays where training is: what can be had but once is better learned
    /// than judged.
    Stratified,
    /// Whole groups by chance: a number for each sample, the same for the samples of one group.
    Grouped(Vec<usize>),
    /// As `Grouped`, where samples with equal values in this column are a group.
    GroupedBy(String),
}

impl Rule {
    /// Groups by a key for each sample, in the order of the split: a name, a patient's number, a day.
    ///
    /// ```
    /// use zerokara_data::{Rule, Split};
    ///
    /// let split = Split::new(vec![0u8; 6], &[1], vec![0, 1, 0, 1, 0, 1])?;
    /// let (train, test) = split.part(2, Rule::groups(["ann", "ann", "bob", "bob", "cid", "cid"]), 1)?;
    /// assert_eq!((train.len(), test.len()), (4, 2));
    /// assert_eq!(test.origin(0).map(|at| at / 2), test.origin(1).map(|at| at / 2));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn groups<K: Hash + Eq>(keys: impl IntoIterator<Item = K>) -> Self {
        Rule::Grouped(numbered(keys))
    }

    /// Groups by the values of a column.
    pub fn grouped_by(column: impl Into<String>) -> Self {
        Rule::GroupedBy(column.into())
    }
}

/// A number for each key, counted in the order in which they first come.
fn numbered<K: Hash + Eq>(keys: impl IntoIterator<Item = K>) -> Vec<usize> {
    let mut known = HashMap::new();
    keys.into_iter()
        .map(|key| {
            let next = known.len();
            *known.entry(key).or_insert(next)
        })
        .collect()
}

/// The members of each number.
fn members(numbers: &[usize]) -> Vec<Vec<usize>> {
    let most = numbers.iter().max().map_or(0, |&most| most + 1);
    let mut members = vec![Vec::new(); most];
    for (at, &number) in numbers.iter().enumerate() {
        members[number].push(at);
    }
    members
}

impl Split {
    /// Sets samples aside by chance: returns the samples to train on and those to validate on. Both keep the order that
    /// the samples have here. The same seed gives the same parts.
    ///
    /// `amount` is a number of samples (`5000`) or a share (`0.1`, rounded to the nearest number of samples).
    ///
    /// # Errors
    ///
    /// A count above [`len`](Split::len), or a share that is not between 0 and 1.
    ///
    /// # Example
    ///
    /// ```
    /// let split = zerokara_data::Split::new(vec![0u8; 100], &[1], vec![0; 100])?;
    /// let (train, validation) = split.validation(0.2, 1)?;
    /// assert_eq!((train.len(), validation.len()), (80, 20));
    /// let (train, validation) = split.validation(5, 1)?;
    /// assert_eq!((train.len(), validation.len()), (95, 5));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias = "shuffle_dataset")]
    pub fn validation(&self, amount: impl Into<Amount>, seed: u64) -> Result<(Split, Split)> {
        let count = amount.into().of(self.len())?;
        let mut order: Vec<usize> = (0..self.len()).collect();
        Random::new(seed, Purpose::Validation, 0, 0).shuffle(&mut order);
        self.cut(order[..count].to_vec())
    }

    /// Sets samples aside by a rule: returns the samples that remain and those set aside, both in the order that they have
    /// here, neither of them empty. The same seed gives the same parts; [`Rule::Random`] gives those of
    /// [`validation`](Self::validation).
    ///
    /// Groups are taken whole, in an order by chance, each if that brings the number of samples nearer to `amount`; there is
    /// at least one in each part.
    ///
    /// # Errors
    ///
    /// More samples than there are; a share that is not between 0 and 1; an amount that leaves a part empty; no classes to
    /// stratify by; fewer than two groups, or not one for each sample.
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_data::{Rule, Split};
    ///
    /// // Ninety samples of one class, ten of the other.
    /// let labels: Vec<i64> = (0..100).map(|i| i64::from(i % 10 == 0)).collect();
    /// let split = Split::new(vec![0u8; 100], &[1], labels)?;
    /// let (train, test) = split.part(0.2, Rule::Stratified, 1)?;
    /// assert_eq!((train.len(), test.len()), (80, 20));
    /// assert_eq!(test.labels().iter().sum::<i64>(), 2);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("train_test_split", "StratifiedShuffleSplit", "GroupShuffleSplit"))]
    pub fn part(&self, amount: impl Into<Amount>, rule: Rule, seed: u64) -> Result<(Split, Split)> {
        let amount = amount.into();
        let count = amount.of(self.len())?;
        if count == 0 || count == self.len() {
            return Err(Error::new(format!(
                "setting {count} of {} samples aside leaves {}; ask for at least one sample and fewer than all",
                self.len(),
                match count {
                    0 => "nothing set aside",
                    _ => "nothing to train on",
                }
            )));
        }
        match rule {
            Rule::Random => self.validation(amount, seed),
            Rule::Stratified => self.cut(self.stratified(amount, seed)?),
            Rule::Grouped(groups) => self.cut(self.grouped(&groups, count, seed)?),
            Rule::GroupedBy(column) => {
                let groups = self.groups_of(&column)?;
                self.cut(self.grouped(&groups, count, seed)?)
            }
        }
    }

    /// The samples that remain, and these.
    fn cut(&self, mut aside: Vec<usize>) -> Result<(Split, Split)> {
        aside.sort_unstable();
        let mut is_aside = vec![false; self.len()];
        aside.iter().for_each(|&at| is_aside[at] = true);
        let rest: Vec<usize> = (0..self.len()).filter(|&at| !is_aside[at]).collect();
        Ok((self.subset(&rest)?, self.subset(&aside)?))
    }

    fn stratified(&self, amount: Amount, seed: u64) -> Result<Vec<usize>> {
        if self.labels().len() != self.len() {
            return Err(Error::new(
                "there are no classes to stratify by: the target is not one class for each sample, held in memory",
            ));
        }
        let mut classes: Vec<(i64, Vec<usize>)> = Vec::new();
        let mut by_label: HashMap<i64, usize> = HashMap::new();
        for (at, &label) in self.labels().iter().enumerate() {
            let class = *by_label.entry(label).or_insert_with(|| {
                classes.push((label, Vec::new()));
                classes.len() - 1
            });
            classes[class].1.push(at);
        }
        classes.sort_unstable_by_key(|(label, _)| *label);
        classes.retain(|(_, members)| members.len() > 1);
        let among: usize = classes.iter().map(|(_, members)| members.len()).sum();
        let count = match amount {
            Amount::Count(count) => count,
            Amount::Fraction(share) => (share * self.len() as f64).round() as usize,
        };
        if count >= among.max(1) {
            return Err(Error::new(format!(
                "cannot set {count} samples aside with each class in its share: {among} samples are of classes that \
                 have more than one"
            )));
        }
        // The whole part of each share, then one more where the rest is largest, the first class among equals.
        let mut counts: Vec<(usize, usize, usize)> = classes
            .iter()
            .enumerate()
            .map(|(class, (_, members))| {
                let product = count as u128 * members.len() as u128;
                let whole = (product / among as u128) as usize;
                (class, whole, (product % among as u128) as usize)
            })
            .collect();
        let left = count - counts.iter().map(|(_, whole, _)| whole).sum::<usize>();
        counts.sort_by_key(|&(class, _, rest)| (std::cmp::Reverse(rest), class));
        counts
            .iter_mut()
            .take(left)
            .for_each(|(_, whole, _)| *whole += 1);
        let mut aside = Vec::with_capacity(count);
        for &(class, count, _) in &counts {
            let (label, members) = &mut classes[class];
            Random::new(seed, Purpose::Stratify, *label as u64, 0).shuffle(members);
            aside.extend_from_slice(&members[..count]);
        }
        Ok(aside)
    }

    fn grouped(&self, groups: &[usize], count: usize, seed: u64) -> Result<Vec<usize>> {
        if groups.len() != self.len() {
            return Err(Error::new(format!(
                "{} groups are named for {} samples; name one for each",
                groups.len(),
                self.len()
            )));
        }
        // Numbers may be any: they are counted anew.
        let groups = members(&numbered(groups));
        if groups.len() < 2 {
            return Err(Error::new(
                "all samples are of one group, which cannot be in two parts; at least two groups are needed",
            ));
        }
        let mut order: Vec<usize> = (0..groups.len()).collect();
        Random::new(seed, Purpose::Group, 0, 0).shuffle(&mut order);
        let mut aside: Vec<usize> = Vec::new();
        let mut taken = 0;
        for &group in &order {
            let members = &groups[group];
            let with = aside.len() + members.len();
            if with.abs_diff(count) < aside.len().abs_diff(count) && taken + 1 < groups.len() {
                aside.extend_from_slice(members);
                taken += 1;
            }
        }
        if aside.is_empty() {
            // Every group is larger than twice the amount.
            let least = order.iter().min_by_key(|&&group| groups[group].len());
            aside.extend(least.map(|&group| &groups[group]).into_iter().flatten());
        }
        Ok(aside)
    }

    /// Samples with equal bits in this column are a group.
    fn groups_of(&self, column: &str) -> Result<Vec<usize>> {
        let values = self.column(column)?;
        let length = (values.len() / self.len().max(1)).max(1);
        Ok(match values.elements() {
            Elements::F32(x) => {
                let bits: Vec<u32> = x.iter().map(|x| x.to_bits()).collect();
                numbered(bits.chunks(length))
            }
            Elements::F64(x) => {
                let bits: Vec<u64> = x.iter().map(|x| x.to_bits()).collect();
                numbered(bits.chunks(length))
            }
            Elements::I64(x) => numbered(x.chunks(length)),
            Elements::U8(x) | Elements::Bool(x) => numbered(x.chunks(length)),
        })
    }
}
