//! The report as a whole: it is well formed, loads nothing, escapes everything, and survives any data.

use std::collections::HashSet;
use zerokara_nn::Answer;
use zerokara_train::Reading;
use zerokara_train::language::Language;
use zerokara_train::metrics::{Epoch, Step};
use zerokara_train::report::{
    ConfusionMatrix, Curves, Filters, LayerRow, LayerTime, Misclassified, Report, WorstRow,
};

const HOSTILE: &str = "</title><script>alert('x')</script>\"'&\u{1b}[31m";

fn steps(losses: impl IntoIterator<Item = f64>) -> Vec<Step> {
    let losses = losses.into_iter().enumerate();
    losses
        .map(|(i, loss)| Step {
            step: i as u64 + 1,
            epoch: 1,
            loss,
            accuracy: Some(1.0 / (1.0 + loss)),
            learning_rate: 0.001,
            gradient_norm: Some(loss * 2.0),
            ..Step::default()
        })
        .collect()
}

fn full() -> Report {
    let mut confusion = ConfusionMatrix::new(10);
    for i in 0..1000 {
        confusion.add(i % 10, if i % 50 == 0 { (i + 1) % 10 } else { i % 10 });
    }
    Report {
        language: Language::English,
        title: "LeNet on MNIST".into(),
        model: "lenet".into(),
        dataset: "mnist".into(),
        date: "2026-11-24".into(),
        command: "zerokara train".into(),
        seed: Some(42),
        threads: Some(8),
        isa: "AVX2".into(),
        version: "0.1.0".into(),
        settings: vec![("optimizer".into(), "Adam".into())],
        ended: Some(format!("Ended early, at step 7: {HOSTILE}")),
        unanswered: Some("3 of 1,000 test images have no answer".into()),
        samples: "images".into(),
        train_sample: Some((5_000, 60_000)),
        seconds: Some(14.8),
        images_per_second: Some(12_345.0),
        parameters: Some(433_890),
        train_accuracy: Some(0.99),
        validation_accuracy: Some(0.981),
        test_accuracy: Some(0.9843),
        measures: Vec::new(),
        readings: Vec::new(),
        test_loss: Some(0.05),
        classes: (0..10).map(|k| k.to_string()).collect(),
        curves: Curves {
            steps: steps((1..=1800).map(|i| 2.3 / f64::from(i))),
            epochs: (1..=3)
                .map(|epoch| Epoch {
                    epoch,
                    step: epoch * 600,
                    train_accuracy: Some(0.97),
                    validation_accuracy: Some(0.96),
                    test_accuracy: Some(0.965),
                    test_loss: Some(0.1),
                    validation_loss: Some(0.11),
                    ..Epoch::default()
                })
                .collect(),
        },
        best_epoch: Some(2),
        confusion: Some(confusion),
        misclassified: (0..70)
            .map(|i| Misclassified {
                index: Some(i),
                pixels: (0..784)
                    .map(|p| ((p * (i + 3)) % 97) as f32 / 96.0)
                    .collect(),
                shape: [1, 28, 28],
                label: 4,
                answer: 9,
                probability: 0.4 + i as f32 / 200.0,
            })
            .collect(),
        worst: Vec::new(),
        filters_before: Some(filters(0.1)),
        filters_after: Some(filters(0.4)),
        layers: vec![LayerRow {
            name: "conv1".into(),
            output: vec![30, 24, 24],
            parameters: 780,
            flops: 881_280,
        }],
        times: vec![LayerTime {
            name: "conv1".into(),
            forward: 1.5,
            backward: 2.5,
        }],
    }
}

fn filters(scale: f32) -> Filters {
    Filters {
        shape: [30, 1, 5, 5],
        weights: (0..750).map(|i| (i as f32).sin() * scale).collect(),
    }
}

/// Parses the page as XML and checks what must hold for every page.
fn check(html: &str) -> Vec<String> {
    let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let page = roxmltree::Document::parse(body).unwrap_or_else(|e| panic!("{e}\n{html}"));
    let mut ids = HashSet::new();
    let mut sections = Vec::new();
    for node in page.descendants().filter(|n| n.is_element()) {
        let name = node.tag_name().name();
        assert!(
            !["script", "link", "iframe", "object", "embed", "base"].contains(&name),
            "<{name}>"
        );
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on"), "{}", attribute.name());
            if ["src", "href"].contains(&attribute.name()) {
                assert!(attribute.value().starts_with("data:image/png;base64,"));
            }
        }
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id.to_string()), "id {id} twice");
        }
        if name == "img" {
            assert!(!node.attribute("alt").unwrap_or("").is_empty(), "alt");
        }
        if name == "svg" && node.attribute("role") == Some("img") {
            // Its first children are its name and what it shows, for who cannot see it.
            let told: Vec<_> = node.children().filter(|n| n.is_element()).take(2).collect();
            for (told, tag) in told.iter().zip(["title", "desc"]) {
                assert_eq!(told.tag_name().name(), tag);
                assert!(!told.text().unwrap_or("").is_empty(), "{tag}");
            }
            assert_eq!(told.len(), 2);
        }
        if name == "section" {
            sections.push(node.attribute("id").unwrap().to_string());
        }
    }
    for external in ["http:", "https:", "//", "@import", "url(h", "NaN", "inf "] {
        // The name of a namespace is not looked up.
        let text = html
            .replace(" xmlns=\"http://www.w3.org/2000/svg\"", "")
            .replace("base64,", "")
            .replace(char::is_whitespace, " ");
        // Base64 may contain anything but these with a colon or a blank; slashes are checked in attributes above.
        if external != "//" {
            assert!(!text.contains(external), "{external}");
        }
    }
    let style = include_str!("../src/report/style.css");
    assert!(!style.contains("//"));
    assert!(
        !style.contains(": #"),
        "a colour that is not of the palette"
    );
    sections
}

#[test]
fn a_full_report_has_every_section_and_is_small() {
    let html = full().render();
    assert_eq!(
        check(&html),
        [
            "curves",
            "confusion",
            "misclassified",
            "filters",
            "model",
            "times",
            "run"
        ]
    );
    assert!(html.len() < 500_000, "{} bytes", html.len());
    for text in [
        "98.43 %",
        "14.8 s",
        "12,345",
        "433,890",
        "20 of 1,000 wrong",
        "The 60 most confident of 70 errors.",
        "30 × 24 × 24",
    ] {
        assert!(html.contains(text), "{text}");
    }
    // The most confident error comes first, and only 60 are shown.
    let first = html.find("<i>(0.74)</i>").unwrap();
    assert!(first < html.find("<i>(0.73)</i>").unwrap());
    assert!(!html.contains("<i>(0.40)</i>"));
}

#[test]
fn curves_tell_their_values_and_the_best_epoch() {
    let html = full().render();
    for told in [
        // At the marks of the evaluations, and at the line of the best epoch, which was after step 1,200.
        "<title>step 600, validation loss (logarithmic): 0.11</title>",
        "<title>epoch 3, test accuracy, %: 96.5</title>",
        "best: at 1200.",
        "best: at 2.",
        "<title>conv1, backward: 2.5 ms</title>",
    ] {
        assert!(html.contains(told), "{told}");
    }
    let mut report = full();
    report.best_epoch = None;
    assert!(!report.render().contains("best"));
}

#[test]
fn an_empty_report_is_a_page() {
    let html = Report::default().render();
    assert_eq!(check(&html), [""; 0]);
    assert!(html.contains("<h1>Training report</h1>"));
}

#[test]
fn each_part_may_be_missing() {
    let without: [fn(&mut Report); 8] = [
        |r| r.curves.epochs.clear(),
        |r| r.curves.steps.clear(),
        |r| r.confusion = None,
        |r| r.misclassified.clear(),
        |r| r.filters_before = None,
        |r| r.filters_after = None,
        |r| r.layers.clear(),
        |r| r.times.clear(),
    ];
    for (i, remove) in without.iter().enumerate() {
        let mut report = full();
        remove(&mut report);
        let sections = check(&report.render());
        let missing = [7, 7, 6, 6, 7, 7, 6, 6][i];
        assert_eq!(sections.len(), missing, "part {i}: {sections:?}");
    }
}

#[test]
fn everything_is_escaped() {
    let hostile = || HOSTILE.to_string();
    let mut report = full();
    report.title = hostile();
    report.model = hostile();
    report.dataset = hostile();
    report.date = hostile();
    report.command = hostile();
    report.isa = hostile();
    report.version = hostile();
    report.settings = vec![(hostile(), hostile())];
    report.classes = vec![hostile(); 10];
    report.layers[0].name = hostile();
    report.times[0].name = hostile();
    let html = report.render();
    check(&html);
    assert!(!html.contains("<script"));
    assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"));
}

#[test]
fn numbers_that_are_not_finite_are_gaps_and_are_told() {
    let mut report = full();
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        0.0,
        1e300,
        0.5,
    ];
    report.curves.steps = steps(odd.into_iter().cycle().take(700));
    for epoch in &mut report.curves.epochs {
        epoch.test_accuracy = Some(f64::NAN);
        epoch.test_loss = Some(f64::INFINITY);
    }
    report.test_accuracy = Some(f64::NAN);
    report.test_loss = Some(f64::NAN);
    report.seconds = Some(f64::INFINITY);
    report.images_per_second = Some(f64::NAN);
    report.misclassified[0].probability = f32::NAN;
    report.misclassified[1].pixels[5] = f32::NAN;
    report.filters_after.as_mut().unwrap().weights[3] = f32::INFINITY;
    report.times[0].forward = f64::NAN;
    let html = report.render();
    check(&html);
    assert!(html.contains("not finite in 300 of 700 recorded steps"));

    report.curves.steps = steps([f64::NAN; 5]);
    report.curves.epochs.clear();
    check(&report.render());
}

#[test]
fn shapes_that_do_not_fit_do_no_harm() {
    let mut report = full();
    report.misclassified[69].shape = [1, 5, 5];
    report.misclassified[68].label = usize::MAX;
    report.filters_before.as_mut().unwrap().shape = [usize::MAX, 1, 5, 5];
    report.filters_after.as_mut().unwrap().shape = [30, 0, 5, 5];
    let html = report.render();
    let sections = check(&html);
    assert!(!sections.contains(&"filters".to_string()));
    assert!(html.contains("no picture"));
}

#[test]
fn a_hundred_classes_are_a_picture() {
    let mut report = full();
    let mut confusion = ConfusionMatrix::new(100);
    for i in 0..10_000 {
        confusion.add(i % 100, (i * i / 100) % 100);
    }
    report.confusion = Some(confusion);
    report.classes.clear();
    let html = report.render();
    check(&html);
    assert!(html.contains("Confusion matrix of 100 classes"));
    assert!(html.len() < 500_000, "{} bytes", html.len());
}

#[test]
fn one_step_and_one_epoch_are_enough() {
    let mut report = full();
    report.curves.steps.truncate(1);
    report.curves.epochs.truncate(1);
    assert_eq!(check(&report.render()).len(), 7);
}

/// Reports which together have every section and every text.
fn of_all_kinds() -> Vec<Report> {
    let mut plain = full();
    plain.title.clear();
    plain.train_sample = None;
    plain.threads = Some(1);
    plain.confusion = Some(ConfusionMatrix::from_rows(&[vec![3], vec![0, 5]]));
    plain.curves.steps = steps([f64::NAN, 0.5, 0.4]);
    plain.curves.epochs.truncate(1);
    plain.misclassified[69].shape = [1, 5, 5];
    plain.misclassified[68].index = None;
    plain.filters_before = Some(Filters {
        shape: [70, 3, 1, 1],
        weights: vec![0.5; 210],
    });
    plain.filters_after = Some(Filters {
        shape: [2, 2, 1, 1],
        weights: vec![0.5; 4],
    });
    plain.times.push(LayerTime {
        name: "loss".into(),
        forward: 1.0,
        backward: 1.0,
    });
    plain.times.push(LayerTime {
        name: "norm and update".into(),
        forward: 0.0,
        backward: 1.0,
    });

    let mut many = full();
    let mut confusion = ConfusionMatrix::new(40);
    for i in 0..1000 {
        confusion.add(i % 40, i * 7 % 40);
    }
    many.confusion = Some(confusion);
    many.test_accuracy = None;
    many.layers.push(LayerRow {
        name: "linear1".into(),
        output: vec![10],
        parameters: 1_010,
        flops: 2_000,
    });

    let readings = |answer: fn(f64) -> Answer| {
        let each = (0..20).map(|i| Reading {
            answer: answer(f64::from(i) / 20.0),
            target: vec![f64::from(i % 2)],
        });
        each.collect::<Vec<_>>()
    };
    let mut numbers = Report {
        samples: "samples".into(),
        readings: readings(|x| Answer::Numbers(vec![x])),
        confusion: None,
        train_accuracy: None,
        validation_accuracy: None,
        test_accuracy: None,
        ..full()
    };
    for name in ["rmse", "mae"] {
        numbers.measures.push((name.into(), 0.5, false));
        for (at, epoch) in numbers.curves.epochs.iter_mut().enumerate() {
            epoch.measures.insert(format!("test_{name}"), at as f64);
        }
    }
    numbers.worst = vec![WorstRow {
        index: Some(1_234),
        cells: vec![
            ("size".into(), "80".into()),
            (HOSTILE.into(), HOSTILE.into()),
        ],
        wanted: HOSTILE.into(),
        given: "3.5".into(),
        error: "0.25".into(),
    }];
    let mut labels = numbers.clone();
    labels.readings = readings(|x| Answer::Labels {
        probabilities: vec![x],
    });
    labels.measures = vec![
        ("f1".into(), 0.5, true),
        ("exact match".into(), 0.5, true),
        ("perplexity".into(), 2.5, false),
    ];
    vec![full(), plain, many, numbers, labels, Report::default()]
}

#[test]
fn a_report_in_japanese_leaves_nothing_in_english() {
    for mut report in of_all_kinds() {
        let english = check(&report.render());
        report.language = Language::Japanese;
        let html = report.render();
        assert_eq!(report.untranslated(), [""; 0], "{english:?}");
        assert!(html.contains("<html lang=\"ja\">"));
        // The same sections, each of which is said in Japanese.
        assert_eq!(check(&html), english);
        let is_japanese = |text: &str| text.chars().any(|c| c as u32 >= 0x3040);
        for heading in html.split("<h2>").skip(1) {
            let heading = heading.split_once("</h2>").unwrap().0;
            assert!(is_japanese(heading), "{heading}");
        }
    }
}

#[test]
fn names_are_not_translated() {
    let mut report = full();
    report.language = Language::Japanese;
    report.classes = ["loss", "test", "precision"].map(String::from).to_vec();
    report.confusion = Some(ConfusionMatrix::from_rows(&[
        vec![5, 2, 0],
        vec![0, 3],
        vec![0, 0, 1],
    ]));
    report.layers[0].name = "output".into();
    report.times[0].name = "share".into();
    let html = report.render();
    for name in [
        "<title>正解ラベル loss, 回答 test: 2</title>",
        "<span>loss → test</span>",
        "<th scope=\"row\">output</th>",
        "<title>share, 逆伝播: 2.5 ms</title>",
    ] {
        assert!(html.contains(name), "{name}");
    }
}
