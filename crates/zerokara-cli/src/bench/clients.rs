//! `zerokara bench --clients`: many threads that predict, all with one model, and each with a model of its own.

use super::{
    Machine, Options, chosen, object,
    workload::{Feed, Network},
};
use crate::output::{self, Failure, Outcome};
use serde_json::json;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use zerokara_core::Array;
use zerokara_nn::Predictor;
use zerokara_train::{
    language::Words,
    report::{numbers::rate, terminal::Align},
};

/// Rounds in which the ways to predict take turns.
const ROUNDS: usize = 5;

/// The most clients that are tried.
pub const MOST_CLIENTS: usize = 256;

/// Images per second of a model: of one client, of all with one model, and of all with models of their own.
struct Measured {
    alone: f64,
    together: f64,
    apart: f64,
    /// Of what all with one model reach, the part of what they reach with models of their own.
    share: f64,
    /// The answers of the slowest client with one model, as a part of the mean.
    slowest: f64,
}

pub fn run(options: &Options, clients: usize, machine: &Machine, words: Words) -> Outcome {
    let mut rows = Vec::new();
    for model in chosen(options) {
        let found = measure(options, model, clients)?;
        if options.json {
            output::print(&object(&[
                ("model", json!(model)),
                ("clients", json!(clients)),
                ("batch_size", json!(options.batch_size)),
                ("threads", json!(machine.threads)),
                ("images_per_second_one_client", json!(found.alone)),
                ("images_per_second_one_model", json!(found.together)),
                ("images_per_second_own_models", json!(found.apart)),
                ("share", json!(found.share)),
                ("slowest_client", json!(found.slowest)),
            ]))?;
            continue;
        }
        rows.push(vec![
            model.to_string(),
            rate(found.alone),
            rate(found.together),
            rate(found.apart),
            format!("{:.2}", found.share),
            format!("{:.2}", found.slowest),
        ]);
    }
    if options.json {
        return Ok(());
    }
    let columns = [
        ("model", Align::Left),
        ("1 client, images/s", Align::Right),
        ("one model", Align::Right),
        ("own models", Align::Right),
        ("share", Align::Right),
        ("slowest client", Align::Right),
    ];
    output::print(output::table(&columns, &rows, words).trim_end())
}

fn measure(options: &Options, model: &str, clients: usize) -> Outcome<Measured> {
    let own: Vec<(Predictor, Array)> = (0..clients)
        .map(|_| {
            let network = Network::named(model)?;
            let x = Feed::new(&network.shape, options.batch_size)?.next()?.0;
            Ok((network.predictor(options.precision)?, x))
        })
        .collect::<Outcome<_>>()?;
    let seconds = options.seconds.unwrap_or(5.0) / (3 * ROUNDS) as f64;
    let time = Duration::from_secs_f64(seconds);
    let shared: Vec<(&Predictor, &Array)> = own.iter().map(|(_, x)| (&own[0].0, x)).collect();
    let own: Vec<(&Predictor, &Array)> = own.iter().map(|(p, x)| (p, x)).collect();
    let images = options.batch_size as f64;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let sum = |rates: &[f64]| rates.iter().sum::<f64>() * images;
        let alone = sum(&answers(&own[..1], time)?);
        let each = answers(&shared, time)?;
        let together = sum(&each);
        let apart = sum(&answers(&own, time)?);
        let least = each.iter().copied().fold(f64::INFINITY, f64::min) * images;
        rounds.push([
            alone,
            together,
            apart,
            together / apart.max(1e-9),
            least * clients as f64 / together.max(1e-9),
        ]);
    }
    let median = |of: usize| {
        let mut all: Vec<f64> = rounds.iter().map(|round| round[of]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Ok(Measured {
        alone: median(0),
        together: median(1),
        apart: median(2),
        share: median(3),
        slowest: median(4),
    })
}

/// Answers per second of each client.
fn answers(clients: &[(&Predictor, &Array)], time: Duration) -> Outcome<Vec<f64>> {
    let (start, is_over) = (Barrier::new(clients.len() + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .map(|&(predictor, x)| {
                let (start, is_over) = (&start, &is_over);
                scope.spawn(move || {
                    // The first compiles.
                    let mut done = predictor.predict(x).map(drop);
                    start.wait();
                    let (from, mut count) = (Instant::now(), 0);
                    while done.is_ok() && !is_over.load(Ordering::Relaxed) {
                        done = predictor.predict(x).map(drop);
                        count += 1;
                    }
                    let seconds = from.elapsed().as_secs_f64().max(1e-9);
                    done.map(|()| f64::from(count) / seconds)
                })
            })
            .collect();
        start.wait();
        thread::sleep(time);
        is_over.store(true, Ordering::Relaxed);
        let rates = threads.into_iter().map(|thread| match thread.join() {
            Ok(rate) => Ok(rate?),
            Err(_) => Err(Failure::new("a client panicked")),
        });
        rates.collect()
    })
}
