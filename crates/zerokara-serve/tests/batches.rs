//! Requests that come together, models that change under load, and a server that stops.

mod common;

use common::{Client, Files, LONG, Running, classes, options, sample, wait_until};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use zerokara_serve::{Change, Options, Server};
use zerokara_train::SavedModel;

fn body(number: usize) -> String {
    json!({ "inputs": sample(number) }).to_string()
}

/// What an answer says the probabilities are.
fn probabilities(answer: &Value) -> Vec<f64> {
    let all = answer["probabilities"].as_array().unwrap();
    all.iter().map(|p| p.as_f64().unwrap()).collect()
}

fn expected(model: &SavedModel, number: usize) -> Vec<f64> {
    model.probabilities(&sample(number)).unwrap()
}

#[test]
fn many_clients_are_answered_together_and_rightly() {
    let files = Files::new();
    let options = Options {
        wait: Duration::from_millis(20),
        ..options()
    };
    let server = Running::start(vec![files.save("net", &classes(1))], options);
    let model = files.load("net");
    thread::scope(|scope| {
        for client in 0..64 {
            let (server, model) = (&server, &model);
            scope.spawn(move || {
                let mut connection = server.client();
                for number in (0..5).map(|round| client * 5 + round) {
                    let answer = connection.json("/predict", &body(number)).good();
                    assert_eq!(probabilities(&answer), expected(model, number));
                }
            });
        }
    });
    let batches = server.metric("zerokara_batch_size_count{model=\"net\"}");
    let alone = server.metric("zerokara_batch_size_bucket{model=\"net\",le=\"1\"}");
    assert_eq!(
        server.metric("zerokara_batch_size_sum{model=\"net\"}"),
        320.0
    );
    assert!(
        batches < 320.0 && alone < batches,
        "{batches} batches, {alone} of one"
    );
}

#[test]
fn a_full_batch_does_not_wait() {
    let files = Files::new();
    let options = Options {
        wait: LONG,
        batch: 4,
        ..options()
    };
    let server = Running::start(vec![files.save("net", &classes(1))], options);
    thread::scope(|scope| {
        for number in 0..4 {
            let server = &server;
            scope.spawn(move || server.json("/predict", &body(number)).good());
        }
    });
    assert_eq!(
        server.metric("zerokara_batch_size_count{model=\"net\"}"),
        1.0
    );
}

#[test]
fn a_model_is_swapped_under_load_without_an_error() {
    let files = Files::new();
    let source = files.save("net", &classes(1));
    let changes = Arc::new(Mutex::new(Vec::new()));
    let told = changes.clone();
    let options = Options {
        watch: Duration::from_millis(20),
        ..options()
    };
    let server = Server::bind(vec![source], options).unwrap();
    let server = Running::of(server.tell(move |change| told.lock().unwrap().push(change)));
    let before = files.load("net");
    let after = classes(2);
    assert_ne!(expected(&before, 3), expected(&after, 3));
    let (stop, new) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            let (server, stop, new) = (&server, &stop, &new);
            let either = [expected(&before, 3), expected(&after, 3)];
            scope.spawn(move || {
                let mut connection = server.client();
                while !stop.load(SeqCst) {
                    let answer = connection.json("/predict", &body(3)).good();
                    let found = either.iter().position(|p| *p == probabilities(&answer));
                    new.fetch_add(found.expect("one of the models"), SeqCst);
                }
            });
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            files.save("net", &after);
            wait_until(|| new.load(SeqCst) > 50);
        }));
        stop.store(true, SeqCst);
        result.unwrap();
    });
    assert!(matches!(&changes.lock().unwrap()[..], [Change::Swapped { name }] if name == "net"));
    assert_eq!(
        server.metric("zerokara_requests_total{status=\"500\"}"),
        0.0
    );

    // What is no model changes nothing, and is told once.
    fs::write(files.path("net"), "no model").unwrap();
    wait_until(|| changes.lock().unwrap().len() == 2);
    let answer = server.json("/predict", &body(3)).good();
    assert_eq!(probabilities(&answer), expected(&after, 3));
    fs::remove_file(files.path("net")).unwrap();
    wait_until(|| changes.lock().unwrap().len() == 3);
    thread::sleep(Duration::from_millis(100));
    assert!(matches!(
        &changes.lock().unwrap()[1..],
        [Change::Kept { .. }, Change::Kept { .. }]
    ));
    files.save("net", &before);
    wait_until(|| changes.lock().unwrap().len() == 4);
    let answer = server.json("/predict", &body(3)).good();
    assert_eq!(probabilities(&answer), expected(&before, 3));
    let failed = "zerokara_model_loads_total{model=\"net\",result=\"failed\"}";
    assert_eq!(server.metric(failed), 2.0);
}

#[test]
fn stopping_answers_what_waits_and_accepts_no_more() {
    let files = Files::new();
    // Nothing is computed before a batch is full, and these are too few.
    let options = Options {
        wait: LONG,
        ..options()
    };
    let server = Running::start(vec![files.save("net", &classes(1))], options);
    let model = files.load("net");
    let mut clients: Vec<Client> = (0..5).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = body(number);
        let kind = [("Content-Type", "application/json")];
        let head = client.head("POST", "/predict", &kind, body.len());
        client.send(format!("{head}{body}").as_bytes());
    }
    // These ask for nothing, and keep nobody.
    let _idle = server.client();
    let mut used = server.client();
    used.ask("GET", "/health", &[], b"").good();
    server.wait_for_queue("net", 5.0);
    let address = server.address;
    server.stop();
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.receive().good();
        assert_eq!(probabilities(&answer), expected(&model, number));
    }
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(used.try_receive().is_none());
}
