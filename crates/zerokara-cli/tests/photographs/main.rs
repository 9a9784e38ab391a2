//! Photographs of digits: what a network reads in pictures of 100 test digits, in many conditions.
//!
//! `cargo test -p zerokara-cli --test photographs -- --nocapture` prints the table that the guide shows
//! (docs/guide/en/src/photographs.md); `ZEROKARA_FULL_CHECKS=1` takes all digits in every condition.

mod conditions;
mod scene;

use conditions::{BLANK, Make, OTHERS, USUAL};
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};
use zerokara_data::{Dataset, Mnist, digit_from_image};
use zerokara_nn::{Adam, Schedule, SoftmaxCrossEntropy, models};
use zerokara_train::{Result, SavedModel, Trainer};

const DIGITS: usize = 100;
/// Every so many of them are taken in conditions that are not the usual ones.
const STEP: usize = 5;

fn network(mnist: &Dataset) -> Result<SavedModel> {
    let model = models::by_name("simple-convnet", 10).expect("a model of this name");
    let run = Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(3e-3))
        .schedule_over(Schedule::one_cycle)
        .epochs(2)
        .quiet()
        .fit(mnist)?;
    Ok(run.model().clone())
}

/// The numbers of the digits that are not read right in pictures of this kind.
fn wrong(
    name: &str,
    make: Make,
    step: usize,
    mnist: &Dataset,
    model: &SavedModel,
    folder: &Path,
) -> Result<Vec<usize>> {
    let mut wrong = Vec::new();
    let file = folder.join(name.replace(' ', "-"));
    for index in (0..DIGITS).step_by(step) {
        let digit: Vec<f32> = mnist.test.sample(index).iter().map(|x| x / 255.0).collect();
        std::fs::write(&file, make(&digit, index))?;
        let right = match digit_from_image(&file, [28, 28]) {
            Ok(pixels) => {
                let stored: Vec<f32> = pixels.iter().map(|p| p * 255.0).collect();
                let scores = model.probabilities(&stored)?;
                let best = (0..10).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
                best.map(|class| class as i64) == Some(mnist.test.labels()[index])
            }
            Err(_) => false,
        };
        if !right {
            wrong.push(index);
        }
    }
    Ok(wrong)
}

#[test]
fn digits_in_photographs_are_read() -> Result<()> {
    let mnist = Mnist::load()?;
    let model = network(&mnist)?;
    let folder = tempfile::tempdir()?;
    let all = std::env::var_os("ZEROKARA_FULL_CHECKS").is_some();
    let others = if all { 1 } else { STEP };
    let usual = USUAL.iter().map(|&(name, make)| (name, make, 1));
    let others = OTHERS.iter().map(|&(name, make)| (name, make, others));
    let conditions: Vec<(&str, Make, usize)> = usual.chain(others).collect();
    let next = AtomicUsize::new(0);
    let mut found: Vec<(usize, Vec<usize>)> = std::thread::scope(|scope| {
        let work = || -> Result<Vec<(usize, Vec<usize>)>> {
            let mut found = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&(name, make, step)) = conditions.get(at) else {
                    return Ok(found);
                };
                found.push((at, wrong(name, make, step, &mnist, &model, folder.path())?));
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread's answer"));
        results
            .collect::<Result<Vec<_>>>()
            .map(|lists| lists.concat())
    })?;
    found.sort();
    let mut poor = Vec::new();
    for (at, wrong) in &found {
        let (name, _, step) = conditions[*at];
        let count = DIGITS.div_ceil(step);
        let line = format!(
            "{name:40} {:3} of {count}  wrong: {wrong:?}",
            count - wrong.len()
        );
        println!("{line}");
        // 95 of 100; 18 of 20.
        if wrong.len() > if step == 1 { 5 } else { 2 } {
            poor.push(line);
        }
    }
    assert!(poor.is_empty(), "{poor:#?}");
    Ok(())
}

#[test]
fn pages_without_a_digit_are_blank() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page");
    for side in [100, 280, 700] {
        for (name, make) in BLANK {
            std::fs::write(&file, make(side))?;
            match digit_from_image(&file, [28, 28]) {
                Ok(_) => panic!("{name}, {side}: something was read"),
                Err(error) => assert!(error.to_string().contains("blank"), "{name}: {error}"),
            }
        }
    }
    Ok(())
}
