//! The description of what is served, for programs: OpenAPI 3.1.

use crate::routes::Shared;
use serde_json::{Map, Value, json};

/// The statuses with which predictions are refused, and why.
const REFUSALS: [(&str, &str); 11] = [
    (
        "400",
        "The body cannot be read: it is no JSON, no form, no table, or ends early.",
    ),
    ("401", "The token is missing or wrong, where one is needed."),
    (
        "403",
        "The host is none of this server's names, or a page of another site asks.",
    ),
    ("404", "There is no such model."),
    ("408", "The body did not come in time."),
    (
        "413",
        "The body, the picture or the number of samples is too large.",
    ),
    ("415", "The model takes no body of this kind."),
    (
        "422",
        "What was sent does not fit the model, or the picture is damaged.",
    ),
    (
        "500",
        "The model has no answer, such as a number that is NaN.",
    ),
    (
        "503",
        "Too many samples wait for the model; Retry-After says when to come again.",
    ),
    ("504", "The answer took too long."),
];

/// The description of all paths, for the models as they are now.
pub(crate) fn document(shared: &Shared) -> Value {
    let mut paths = Map::new();
    let get = |summary: &str, kind: &str, schema: Value| {
        json!({ "get": {
            "summary": summary,
            "responses": { "200": { "description": summary, "content": { kind: { "schema": schema } } } },
        } })
    };
    let (text, object) = (json!({ "type": "string" }), json!({ "type": "object" }));
    for (path, summary, kind, schema) in [
        (
            "/",
            "A page on which models can be tried.",
            "text/html",
            &text,
        ),
        (
            "/health",
            "That the server answers, and how many models it has.",
            "application/json",
            &object,
        ),
        (
            "/metrics",
            "What is counted, as Prometheus reads it.",
            "text/plain",
            &text,
        ),
        (
            "/models",
            "The models, and what they take and answer.",
            "application/json",
            &object,
        ),
        (
            "/openapi.json",
            "This description.",
            "application/json",
            &object,
        ),
    ] {
        paths.insert(path.into(), get(summary, kind, schema.clone()));
    }
    for (number, served) in shared.models.iter().enumerate() {
        let model = served.current();
        let summary = format!("What {} says of one sample or several.", served.name());
        let bodies = model.bodies(served.queue.most());
        let answer = json!({ "description": summary, "content": {
            "application/json": { "schema": model.answer_schema() },
        } });
        let mut responses = Map::from_iter([("200".to_string(), answer)]);
        for (status, why) in REFUSALS {
            let sentence = json!({ "$ref": "#/components/schemas/Refusal" });
            let content = json!({ "application/json": { "schema": sentence } });
            let response = json!({ "description": why, "content": content });
            responses.insert(status.into(), response);
        }
        let post = json!({ "post": {
            "summary": summary,
            "requestBody": { "required": true, "content": bodies },
            "responses": responses,
        } });
        if number == 0 {
            paths.insert("/predict".into(), post.clone());
        }
        paths.insert(format!("/models/{}/predict", served.name()), post);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Models of Zerokara", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": { "Refusal": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": { "type": "string" } },
        } } },
    });
    if shared.options.token.is_some() {
        let scheme = json!({ "type": "http", "scheme": "bearer" });
        document["components"]["securitySchemes"] = json!({ "token": scheme });
        document["security"] = json!([{ "token": [] }]);
    }
    document
}
