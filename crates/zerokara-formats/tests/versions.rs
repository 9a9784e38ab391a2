//! Versions of model files: those of version 1 load as before, and what version 2 says in addition comes back.

use std::{path::Path, sync::Arc};
use zerokara_core::{Array, DType, Meta, Metas, Port, Result, Tensor, Tensors};
use zerokara_formats::*;
use zerokara_nn::{record::*, *};

fn version1(name: &str) -> (ModelRecord, ModelInfo) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    load_model(folder.join(name)).unwrap()
}

fn batch(n: usize) -> (Array, Array) {
    let x = Tensor::uniform(5, &Tensor::from(n as i64), [n, 2, 6, 6])
        .eval()
        .unwrap();
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 4).collect();
    (x, Array::new([n], labels.as_slice()))
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-4, "{found:?} {expected:?}");
    }
}

/// Convolution, batch normalization, pooling, dropout and a linear layer, trained for three steps, written by the program that
/// wrote version 1; the numbers are what it computed from its model, and from the file when it trained on.
#[test]
fn a_file_of_version_1_computes_and_trains_as_before() {
    let (record, info) = version1("version1.safetensors");
    assert_eq!(
        record.signature.to_string(),
        "(x: f32 [batch, 2, 6, 6]) -> (y: f32 [batch, 4])"
    );
    assert_eq!(info.architecture.as_deref(), Some("small-convnet"));
    assert_eq!(info.dataset.as_deref(), Some("blobs"));
    assert_eq!(info.classes["t"], ["zero", "一", "two", "\"three\""]);
    let scaling = &info.preprocessing["x"];
    assert_eq!(
        *scaling,
        serde_json::json!({"mean": [0.1307, 1.0 / 3.0], "std": [0.3081, 0.25]})
    );
    assert_eq!((info.notes["divisor"].as_str(), info.task), ("255", None));

    let model = Arc::new(GraphModule::new(record.clone()).unwrap());
    let predict = || Predictor::new(model.clone()).unwrap().predict(&batch(5).0);
    let bits = [
        1050531734u32,
        3206349760,
        3184677138,
        1073671968,
        3155811228,
        3202480799,
        3200484084,
        1074737704,
        1053466346,
        3213466595,
        1041171059,
        1074499681,
        1049691513,
        3212077854,
        1052236046,
        1074283126,
        3199442099,
        3183073223,
        3166099336,
        1069505940,
    ];
    let before: Vec<f64> = bits.iter().map(|&b| f32::from_bits(b).into()).collect();
    close(&predict().unwrap().to_f64s(), &before);
    let optimizer = Arc::new(Sgd::new(0.1));
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model.clone(), loss, optimizer)
        .unwrap()
        .seed(7);
    let (x, t) = batch(11);
    let losses: Vec<f64> = (0..3)
        .map(|_| step.step(&x, &t, 0.1).unwrap().loss)
        .collect();
    close(
        &losses,
        &[1.6620020866394043, 1.4020129442214966, 1.1598742008209229],
    );

    // Saved again it is of version 2, and the same model.
    let file = model::to_file(&record, &ModelInfo::default()).unwrap();
    assert!(file.metadata["zerokara.graph"].contains(r#""version":2"#));
    assert_eq!(model::from_file(file).unwrap().0, record);
}

#[test]
fn a_file_of_version_1_for_one_batch_is_for_that_alone() {
    let (record, _) = version1("version1-fixed.safetensors");
    assert_eq!(
        record.signature.to_string(),
        "(x: f32 [3, 4]) -> (y: f32 [3, 2])"
    );
    let model = GraphModule::new(record).unwrap();
    let run = |n| {
        model
            .forward(&Tensor::ones([n, 4]), &mut Context::evaluate())
            .eval()
    };
    close(
        &run(3).unwrap().to_f64s(),
        &[1.5939283, 2.7148695].repeat(3),
    );
    run(2).unwrap_err();
}

/// Two inputs of any length, states, several outputs, positions.
#[derive(Module)]
struct Reader {
    tokens: Embedding,
    positions: Embedding,
    cell: Linear,
    out: Linear,
}

impl Model for Reader {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let (tokens, h) = (inputs.tensor("tokens"), inputs.tensor("h"));
        let Ok(&[n, l]) = tokens.shape() else {
            return Tensors::from([("y", tokens.clone()), ("next", tokens)]);
        };
        let at = Tensor::arange(0, l as i64, 1);
        let x = self.tokens.forward(&tokens, cx) + self.positions.forward(&at, cx);
        let mask = inputs.tensor("mask").reshape([n as i64, l as i64, 1]);
        let x = (x * mask + Tensor::full([n, l, 1], 0.25, DType::F32)).mean_axes(&[1], false);
        let h = self.cell.forward(&Tensor::concat(&[&x, &h], 1), cx).tanh();
        Tensors::from([("y", self.out.forward(&h, cx)), ("next", h)])
    }

    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        vec![("h".into(), "next".into())]
    }
}

fn reader() -> (Reader, [Port; 3]) {
    let reader = Reader {
        tokens: Embedding::new(9, 4),
        positions: Embedding::new(150, 4),
        cell: Linear::new(3),
        out: Linear::new(2),
    };
    let ports = [
        Port::new("tokens", DType::I64, ["batch", "length"]),
        Port::new("mask", DType::F32, ["batch", "length"]),
        Port::new(
            "h",
            DType::F32,
            ["batch".into(), zerokara_core::Axis::Fixed(3)],
        ),
    ];
    let metas = ports.iter().map(|port| {
        let meta = port.meta(|name| Some(if name == "batch" { 1 } else { 5 }));
        (port.name.clone(), meta.unwrap())
    });
    reader.build_for(&metas.collect::<Metas>(), 1).unwrap();
    (reader, ports)
}

#[test]
fn a_model_of_any_signature_comes_back_from_its_file() {
    let (reader, ports) = reader();
    let record = trace_ports(&reader, &ports).unwrap();
    let info = ModelInfo {
        task: Some(TaskInfo {
            name: "binary_cross_entropy".into(),
            settings: vec![],
        }),
        preprocessing: [
            (
                "tokens".into(),
                serde_json::json!({"vocabulary": ["a", "ü"], "unknown": 0}),
            ),
            ("mask".into(), serde_json::json!(null)),
        ]
        .into(),
        classes: [
            ("a".into(), vec!["no".into(), "yes".into()]),
            ("b".into(), vec![]),
        ]
        .into(),
        ..ModelInfo::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reader.safetensors");
    save_model(&path, &record, &info).unwrap();
    let (loaded, found) = load_model(&path).unwrap();
    assert_eq!((&loaded, &found), (&record, &info));
    assert_eq!(
        loaded.signature.to_string(),
        "(tokens: i64 [batch, length], mask: f32 [batch, length], h: f32 [batch, 3]) -> (y: f32 [batch, 2], next: f32 [batch, 3])"
    );
    let rebuilt = GraphModule::new(loaded.clone()).unwrap();
    for [n, l] in [[1, 1], [2, 7], [5, 101]] {
        let tokens: Vec<i64> = (0..n * l).map(|i| i as i64 % 9).collect();
        let mask: Vec<f32> = (0..n * l).map(|i| (i % 3 != 0) as u8 as f32).collect();
        let inputs = Tensors::from([
            ("h", Tensor::full([n, 3], 0.5, DType::F32)),
            ("mask", Tensor::new([n, l], mask)),
            ("tokens", Tensor::new([n, l], tokens)),
        ]);
        let arrays = inputs.map(|_, t| t.eval().unwrap());
        let outputs = |model: &dyn Model| {
            let outputs = model.apply(&inputs, &mut Context::evaluate());
            outputs.map(|_, y| y.eval().unwrap())
        };
        let expected = outputs(&reader);
        assert_eq!(outputs(&rebuilt), expected);
        // Without any layer.
        assert_eq!(loaded.run(&arrays).unwrap(), expected);
    }
}

/// The error of a file whose graph's text was changed.
fn damaged(from: &str, to: &str) -> String {
    let (reader, ports) = reader();
    let record = trace_ports(&reader, &ports).unwrap();
    let mut file = model::to_file(&record, &ModelInfo::default()).unwrap();
    let text = &file.metadata["zerokara.graph"];
    assert!(text.contains(from), "{from}: {text}");
    let text = text.replacen(from, to, 1);
    file.metadata.insert("zerokara.graph".into(), text);
    let loaded = || -> Result<GraphModule> { GraphModule::new(model::from_file(file)?.0) };
    loaded().unwrap_err().to_string()
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    for (from, to, expected) in [
        (
            r#""name":"mask""#,
            r#""name":"h""#,
            "two inputs have the name h",
        ),
        (
            r#""name":"next""#,
            r#""name":"y""#,
            "two outputs have the name y",
        ),
        (
            r#""name":"out.bias""#,
            r#""name":"out.weight""#,
            "out.weight",
        ),
        (
            r#"["h","next"]"#,
            r#"["h","y"]"#,
            "the state h: f32 [batch, 3] cannot take the output y",
        ),
        (
            r#"["h","next"]"#,
            r#"["g","next"]"#,
            "the state \"g\" is no port",
        ),
        (r#"["h","next"]"#, r#"["h"]"#, "is no state"),
        (
            r#"[["h","next"]]"#,
            r#"[["h","next"],["h","next"]]"#,
            "two states have the name h",
        ),
        (
            r#"["length",13]"#,
            r#"["height",11]"#,
            "\"length\" may be any, but the record does not say",
        ),
        (
            r#"["length",13]"#,
            r#"["batch",13]"#,
            "\"batch\" is there twice",
        ),
        (r#"["length",13]"#, r#"["length",-1]"#, "is no size"),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[[1,"width"]]]"#,
            "takes a length \"width\", which no input has",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[[1,"length"],[1,"length"]]]"#,
            "have the factors",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[]"#,
            "other steps than axes",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[[-1,"length"]]]"#,
            "which is no length",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[[4611686018427387904,"length"]]]"#,
            "too large",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[[1000000000000,"length"]]]"#,
            "ZEROKARA_MEMORY",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[[1,"length","length","length","length","length","length","length","length","length"]]]"#,
            "at most",
        ),
        (
            r#""shape":[[[1,"length"]]]"#,
            r#""shape":[[["1","length"]]]"#,
            "is no size",
        ),
        (r#""steps":["1.0"]"#, r#""steps":["one"]"#, "is no number"),
        (
            r#""inputs":[0,1]"#,
            r#""inputs":[0,40]"#,
            "has the input 40, which comes later",
        ),
        (
            r#""inputs":[0,1]"#,
            r#""inputs":[0,2]"#,
            "which comes later",
        ),
        (
            r#"{"axes":["batch",2],"dtype":"f32","name":"y"}"#,
            r#"{"axes":["batch",7],"dtype":"f32","name":"y"}"#,
            "the output y: f32 [batch, 7] of the signature is f32[2, 2] in the graph",
        ),
        (
            r#"{"axes":["batch",2],"dtype":"f32","name":"y"}"#,
            r#"{"axes":["batch",2],"dtype":"i64","name":"y"}"#,
            "of the signature is f32[2, 2]",
        ),
        (
            r#""dtype":"f32","name":"mask""#,
            r#""dtype":"f16","name":"mask""#,
            "f16 is no element type",
        ),
    ] {
        let said = damaged(from, to);
        assert!(said.contains(expected), "{from} {to}: {said}");
    }
}

#[test]
fn sizes_of_a_file_that_want_all_memory_are_refused_before_they_are_made() {
    let node = |source| NodeRecord {
        source,
        layer: None,
    };
    let of = |source: NodeSource| {
        let graph = GraphRecord {
            nodes: vec![node(source)],
            outputs: vec![0],
            updates: vec![],
        };
        let signature = zerokara_core::Signature {
            inputs: vec![Port::new("x", DType::F32, ["n"])],
            outputs: vec![Port::new("y", DType::F32, ["m", "k"])],
            states: vec![],
        };
        ModelRecord {
            signature,
            lengths: Lengths::one("n", 1 << 20),
            evaluate: graph.clone(),
            train: graph,
            parameters: vec![],
            constants: vec![],
        }
    };
    let square = Size::new([(1, vec!["n", "n"])]).unwrap();
    let series = NodeSource::Series(Series {
        dtype: DType::F32,
        shape: vec![square.clone(), Size::from(1)],
        start: 0.0,
        steps: vec![1.0, 0.0],
    });
    let fill = NodeSource::op(
        "fill",
        [
            ("value", 1.0.into()),
            (
                "shape",
                RecordedAttribute::Sizes(vec![square, Size::of("n")]),
            ),
            ("dtype", DType::F32.into()),
        ],
        [],
    );
    for source in [series, fill] {
        let record = of(source);
        let file = model::to_file(&record, &ModelInfo::default()).unwrap();
        let (read, _) = model::from_file(file).unwrap();
        assert_eq!(read, record);
        let said = GraphModule::new(read).unwrap_err().to_string();
        assert!(
            said.contains("ZEROKARA_MEMORY") || said.contains("too large for any memory"),
            "{said}"
        );
        let x = Array::zeros(&Meta::new([4], DType::F32));
        assert!(record.run(&[("x", x)].into()).is_ok());
    }
}

/// Whatever a file says, it is read or refused.
#[test]
fn no_change_of_a_graph_makes_its_reader_panic() {
    let (reader, ports) = reader();
    let record = trace_ports(&reader, &ports).unwrap();
    let good = model::to_file(&record, &ModelInfo::default()).unwrap();
    let text = good.metadata["zerokara.graph"].clone();
    let words = [
        "0",
        "-1",
        "99999999999999999999",
        "1e9",
        "4611686018427387904",
        "[]",
        "{}",
        "null",
        "\"h\"",
        "[[1,\"batch\",\"length\"]]",
        "\"batch\"",
        "true",
        "\"-inf\"",
    ];
    // The values between separators, each replaced by each word in turn as the numbers fall.
    let cuts: Vec<usize> = text
        .char_indices()
        .filter(|(_, c)| ",:[]{}".contains(*c))
        .map(|(at, _)| at)
        .collect();
    let mut state = 1u64;
    let mut next = |n: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..1500 {
        let at = next(cuts.len() - 1);
        let word = words[next(words.len())];
        let changed = [&text[..=cuts[at]], word, &text[cuts[at + 1]..]].concat();
        let mut file = good.clone();
        file.metadata.insert("zerokara.graph".into(), changed);
        match model::from_file(file).and_then(|(record, _)| GraphModule::new(record)) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read > 0 && refused > 1000, "{read} {refused}");
}
