//! What is served beside answers: the page, descriptions, numbers.

mod common;

use common::{Files, Running, classes, houses, options, pictures, sample};
use serde_json::{Value, json};
use zerokara_data::Pictures;
use zerokara_serve::{Options, Server};
use zerokara_train::language::Language;

#[test]
fn the_page_is_whole_and_in_the_language() {
    let files = Files::new();
    let source = files.save("net", &classes(1));
    let server = Server::bind(vec![source], options()).unwrap();
    let server = Running::of(server.language(Language::Japanese));
    let page = server.get("/");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = page.text();
    assert!(text.contains("lang=\"ja\"") && text.contains("画像を選ぶ"));
    assert!(!text.contains("{{"), "{text}");
    let script = server.get("/page.js");
    assert_eq!(
        script.headers["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert!(!script.text().contains("{{"));
    let style = server.get("/page.css").text();
    assert!(style.contains("prefers-color-scheme: dark") && style.contains("--c0"));
    assert_eq!(server.client().status_of_head("/"), 200);
}

#[test]
fn descriptions_are_true() {
    let files = Files::new();
    let sources = vec![
        files.save("digits", &pictures(1, Pictures::Digits)),
        files.save("houses", &houses()),
    ];
    let server = Running::start(sources, options());
    assert_eq!(server.get("/health").good()["status"], "ok");
    let models = server.get("/models").good();
    assert_eq!(models["models"][0]["picture"]["kind"], "digits");
    let columns = &models["models"][1]["inputs"][0]["columns"];
    assert_eq!(columns[1]["values"], json!(["brick", "wood"]));
    assert_eq!(
        columns[0],
        json!({ "name": "size", "kind": "number", "missing": "mean" })
    );

    let document = server.get("/openapi.json").good();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let status = server.client().ask(&method, path, &[], b"").status;
            assert!(![404, 405].contains(&status), "{method} {path}: {status}");
        }
    }
    let kinds = |path: &str| -> Vec<&String> {
        let content = &paths[path]["post"]["requestBody"]["content"];
        content.as_object().unwrap().keys().collect()
    };
    assert_eq!(
        kinds("/models/houses/predict"),
        ["application/json", "text/csv"]
    );
    let of_pictures = [
        "application/json",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "multipart/form-data",
    ];
    assert_eq!(kinds("/predict"), of_pictures);
    let mut places = Vec::new();
    references(&document, &mut places);
    assert!(!places.is_empty());
    for place in places {
        assert!(document.pointer(&place[1..]).is_some(), "{place}");
    }
}

fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(
                fields
                    .get("$ref")
                    .and_then(|v| Some(v.as_str()?.to_string())),
            );
            fields.values().for_each(|value| references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[test]
fn requests_and_batches_are_counted() {
    let files = Files::new();
    let options = Options {
        batch: 1,
        ..options()
    };
    let server = Running::start(vec![files.save("net", &classes(1))], options);
    let many = json!({ "inputs": vec![sample(1); 33] }).to_string();
    server.json("/predict", &many).good();
    let metrics = server.get("/metrics");
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    let text = metrics.text();
    for line in [
        "zerokara_requests_total{status=\"200\"} 1",
        "zerokara_request_seconds_count 1",
        "zerokara_queue_length{model=\"net\"} 0",
        "zerokara_batch_size_bucket{model=\"net\",le=\"1\"} 33",
        "zerokara_batch_size_bucket{model=\"net\",le=\"32\"} 33",
        "zerokara_batch_size_sum{model=\"net\"} 33",
        "zerokara_model_loads_total{model=\"net\",result=\"ok\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    // Each name has its kind, and each line is a name with labels and a number.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(name.starts_with("zerokara_"), "{line}");
    }
}
