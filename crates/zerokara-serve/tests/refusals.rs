//! What is refused, each with its status and a sentence.

mod common;

use common::{Client, Files, LONG, Running, classes, options, pictures, png, sample, wait_until};
use serde_json::json;
use std::time::Duration;
use zerokara_data::Pictures;
use zerokara_serve::{Options, Server, Source};

fn body(number: usize) -> String {
    json!({ "inputs": sample(number) }).to_string()
}

#[test]
fn what_cannot_be_read_or_does_not_fit() {
    let files = Files::new();
    let server = Running::start(vec![files.save("net", &classes(1))], options());
    for (body, status, told) in [
        ("{\"inputs\": [1, 2, 3, 4, NaN]}", 400, "JSON"),
        ("{\"inputs\": [1, 2, 3, 4, 5]", 400, "JSON"),
        ("", 400, "JSON"),
        ("{\"inputs\": [1, 2, 3, 4]}", 422, "shape [4]"),
        ("{\"inputs\": [[1, 2], [3]]}", 422, "evenly"),
        ("{\"inputs\": []}", 422, "no sample"),
        ("{\"inputs\": [1, 2, 3, 4, 1e300]}", 422, "too large"),
        ("{\"inputs\": \"text\"}", 422, "a text"),
        ("{\"input\": [1, 2, 3, 4, 5]}", 422, "\"input\""),
    ] {
        let sentence = server.json("/predict", body).refused(status);
        assert!(sentence.contains(told), "{body}: {sentence}");
    }
    server.post("/predict", "text/plain", "x").refused(415);
    server.post("/predict", "image/png", png(8, 8)).refused(415);
    server.post("/predict", "text/csv", "a\n1\n").refused(415);
    server
        .client()
        .ask("POST", "/predict", &[], b"{}")
        .refused(415);
    let many = json!({ "inputs": vec![sample(0); 1025] }).to_string();
    let sentence = server.json("/predict", &many).refused(413);
    assert!(sentence.contains("1024"), "{sentence}");
    // The server still answers.
    server.json("/predict", &body(1)).good();
    assert_eq!(
        server.metric("zerokara_requests_total{status=\"415\"}"),
        4.0
    );
}

#[test]
fn paths_and_methods_that_are_not_there() {
    let files = Files::new();
    let server = Running::start(vec![files.save("net", &classes(1))], options());
    server.get("/nothing").refused(404);
    let sentence = server.json("/models/other/predict", "{}").refused(404);
    assert!(sentence.contains("there are net"), "{sentence}");
    let answer = server.get("/predict");
    answer.refused(405);
    assert_eq!(answer.headers["allow"], "POST");
    server.json("/health", "{}").refused(405);
}

#[test]
fn bodies_and_pictures_that_are_too_large() {
    let files = Files::new();
    let options = Options {
        max_body: 100_000,
        max_pixels: 10_000,
        ..options()
    };
    let source = files.save("digits", &pictures(1, Pictures::Digits));
    let server = Running::start(vec![source], options);
    let large = "[".repeat(300_000);
    server.json("/predict", &large).refused(413);
    // In chunks, without a length.
    let mut client = server.client();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        client.host
    );
    let chunk = format!("{:x}\r\n{}\r\n", 50_000, " ".repeat(50_000));
    client.send(format!("{head}{}0\r\n\r\n", chunk.repeat(3)).as_bytes());
    client.receive().refused(413);
    // A client that asks first sends nothing.
    let mut client = server.client();
    let headers = [("Content-Type", "image/png"), ("Expect", "100-continue")];
    let head = client.head("POST", "/predict", &headers, 1_000_000_000);
    client.send(head.as_bytes());
    client.receive().refused(413);

    server.post("/predict", "image/png", png(100, 100)).good();
    let sentence = server
        .post("/predict", "image/png", png(101, 100))
        .refused(413);
    assert!(sentence.contains("101 x 100"), "{sentence}");
    // A head that says more pixels than any memory holds; nothing is decoded.
    let mut bomb = png(8, 8);
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let told = server.post("/predict", "image/png", bomb);
    assert!([413, 422].contains(&told.status), "{}", told.text());
    let whole = png(90, 90);
    let cut = &whole[..whole.len() / 2];
    server.post("/predict", "image/png", cut).refused(422);
    server
        .post("/predict", "image/jpeg", b"GIF89a")
        .refused(422);
    server.post("/predict", "image/png", b"").refused(422);
    let form = "multipart/form-data; boundary=XX";
    server.post("/predict", form, "--XX--\r\n").refused(422);
    server
        .post("/predict", form, "--XX\r\nContent-")
        .refused(400);
    server
        .post("/predict", "multipart/form-data", "")
        .refused(400);
}

#[test]
fn senders_that_are_slow() {
    let files = Files::new();
    let options = Options {
        timeout: Duration::from_millis(300),
        ..options()
    };
    let server = Running::start(vec![files.save("net", &classes(1))], options);
    let kind = [("Content-Type", "application/json")];
    // More of them than threads that read.
    let mut slow: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut slow {
        let head = client.head("POST", "/predict", &kind, 100);
        client.send(format!("{head}{{\"inp").as_bytes());
    }
    let mut idle = server.client();
    let mut silent = server.client();
    silent.send(b"POST /predict HTTP/1.1\r\nHost: localh");
    server.json("/predict", &body(1)).good();
    for client in &mut slow {
        client.receive().refused(408);
        // What comes later is not taken for another request.
        assert!(client.try_receive().is_none());
    }
    assert!(idle.try_receive().is_none());
    assert!(
        silent
            .try_receive()
            .is_none_or(|answer| answer.status == 408)
    );
    server.json("/predict", &body(1)).good();
}

#[test]
fn answers_that_take_too_long_and_a_queue_that_is_full() {
    let files = Files::new();
    // Nothing is computed before a batch is full.
    let waiting = Options {
        wait: LONG,
        queue: 3,
        ..options()
    };
    let patient = Running::start(vec![files.save("net", &classes(1))], waiting.clone());
    let mut clients: Vec<Client> = (0..3).map(|_| patient.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = body(number);
        let kind = [("Content-Type", "application/json")];
        let head = client.head("POST", "/predict", &kind, body.len());
        client.send(format!("{head}{body}").as_bytes());
    }
    patient.wait_for_queue("net", 3.0);
    let answer = patient.json("/predict", &body(4));
    answer.refused(503);
    assert_eq!(answer.headers["retry-after"], "1");
    // Those who wait are answered when the server stops.
    patient.stop();
    for client in &mut clients {
        client.receive().good();
    }

    let options = Options {
        timeout: Duration::from_millis(100),
        ..waiting
    };
    let server = Running::start(vec![files.save("net", &classes(1))], options);
    for _ in 0..2 {
        server.json("/predict", &body(1)).refused(504);
    }
}

#[test]
fn hosts_and_origins_of_others() {
    let files = Files::new();
    let server = Running::start(vec![files.save("net", &classes(1))], options());
    let ask = |headers: &[(&str, &str)]| {
        let kind = [("Content-Type", "application/json")];
        let headers = [&kind, headers].concat();
        let body = body(1);
        server
            .client()
            .ask("POST", "/predict", &headers, body.as_bytes())
    };
    ask(&[("Host", "example.org")]).refused(403);
    ask(&[("Origin", "https://example.org")]).refused(403);
    ask(&[("Origin", "null")]).refused(403);
    ask(&[("Host", "localhost"), ("Origin", "http://localhost")]).good();
    let page = server
        .client()
        .ask("GET", "/", &[("Host", "example.org")], b"");
    page.refused(403);
}

#[test]
fn other_machines_need_the_token() {
    let files = Files::new();
    let source = files.save("net", &classes(1));
    let open = Options {
        host: [0, 0, 0, 0].into(),
        ..options()
    };
    let refused = Server::bind(vec![source.clone()], open.clone());
    let told = refused.err().unwrap().to_string();
    assert!(told.contains("token"), "{told}");
    let options = Options {
        token: Some("secret".into()),
        ..open
    };
    let mut server = Running::start(vec![source], options);
    assert!(server.url.ends_with("/#token=secret"), "{}", server.url);
    server.address.set_ip([127, 0, 0, 1].into());
    let named = [("Host", "box.example.org")];
    assert_eq!(server.client().ask("GET", "/", &named, b"").status, 200);
    server.get("/models").refused(401);
    server.json("/predict", &body(1)).refused(401);
    let token = [("Authorization", "Bearer secret")];
    let models = server.client().ask("GET", "/models", &token, b"").good();
    assert_eq!(models["models"][0]["name"], "net");
}

#[test]
fn what_cannot_be_served() {
    let files = Files::new();
    let source = files.save("net", &classes(1));
    let bind =
        |sources: Vec<Source>, options| Server::bind(sources, options).err().unwrap().to_string();
    let twice = bind(vec![source.clone(), source.clone()], options());
    assert!(twice.contains("two models are named net"), "{twice}");
    assert!(bind(vec![], options()).contains("no model"));
    let missing = Source::new("a", files.path("missing")).unwrap();
    assert!(bind(vec![missing], options()).contains("missing"));
    for name in ["", "a/b", "a b", "..", "é"] {
        assert!(Source::new(name, "x").is_err(), "{name:?}");
    }
    let server = Running::start(vec![source.clone()], options());
    let taken = Options {
        port: server.address.port(),
        ..options()
    };
    let told = bind(vec![source], taken);
    assert!(told.contains("another program does"), "{told}");
    wait_until(|| server.get("/health").status == 200);
}
