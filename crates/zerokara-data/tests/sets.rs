//! Published data sets: their forms, from files made here; how files are fetched, from a server of this test's own.
#![cfg(feature = "fetch")]

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};
use zerokara_data::{DataOptions, NamedSet, fetch_file};

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record of CIFAR whose red, green and blue are plain.
fn record(labels: &[u8], rgb: [u8; 3]) -> Vec<u8> {
    let pixels = rgb.into_iter().flat_map(|value| vec![value; 1024]);
    labels.iter().copied().chain(pixels).collect()
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn cifar_is_read_from_its_archive_and_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let batch = |n: usize| format!("cifar-10-batches-bin/data_batch_{n}.bin");
    let names: Vec<String> = (1..=5).map(batch).collect();
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mut two = record(&[n as u8], [n as u8, 100, 200]);
        two.extend(record(&[9], [1, 2, 3]));
        files.push((name, two));
    }
    files.push((
        "cifar-10-batches-bin/test_batch.bin",
        record(&[3], [7, 8, 9]),
    ));
    fs::write(
        folder.path().join("cifar-10-binary.tar.gz"),
        archive(&files),
    )
    .unwrap();

    let set = NamedSet::by_name("cifar-10").unwrap();
    let data = set.from_folder(folder.path()).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (10, 1));
    assert_eq!(data.shape(), [3, 32, 32]);
    assert_eq!(data.train.labels(), [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
    let sample = data.test.bytes(0).unwrap();
    assert_eq!([sample[0], sample[1024], sample[2048]], [7, 8, 9]);

    // As one's own data, from the unpacked files.
    let own = tempfile::tempdir().unwrap();
    for (name, bytes) in &files {
        let name = Path::new(name).file_name().unwrap();
        fs::write(own.path().join(name), bytes).unwrap();
    }
    let opened = DataOptions::new().open(own.path()).unwrap();
    assert_eq!(opened.class_names[5], "dog");
    assert_eq!(opened.train.labels(), data.train.labels());

    // A batch that is cut short, a label that is no class, an archive that is none.
    let batch = own.path().join("data_batch_2.bin");
    fs::write(&batch, &files[1].1[..4000]).unwrap();
    let error = set.from_folder(own.path()).unwrap_err().to_string();
    assert!(error.contains("cut short"), "{error}");
    fs::write(&batch, record(&[10], [0; 3])).unwrap();
    let error = set.from_folder(own.path()).unwrap_err().to_string();
    assert!(error.contains("label 10"), "{error}");
    fs::write(folder.path().join("cifar-10-binary.tar.gz"), b"no archive").unwrap();
    let error = set.from_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn cifar_100_has_a_coarse_label_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.bin"), record(&[4, 99], [1, 2, 3])).unwrap();
    fs::write(folder.path().join("test.bin"), record(&[4, 0], [1, 2, 3])).unwrap();
    let set = NamedSet::by_name("cifar-100").unwrap();
    let data = set.from_folder(folder.path()).unwrap();
    assert_eq!(
        (data.train.labels(), data.test.labels()),
        (&[99][..], &[0][..])
    );
    assert_eq!(
        (data.class_names[0].as_str(), data.class_names[99].as_str()),
        ("apple", "worm")
    );
}

/// IDX of bytes.
fn idx(shape: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|size| all.extend(size.to_be_bytes()));
    all.extend(bytes);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&all).unwrap();
    packed.finish().unwrap()
}

#[test]
fn emnist_is_turned_upright_and_its_letters_begin_with_a() {
    let folder = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(folder.path().join("gzip.zip")).unwrap());
    for of in ["train", "test"] {
        let files = [
            ("images-idx3", idx(&[1, 2, 2], &[1, 2, 3, 4])),
            ("labels-idx1", idx(&[1], &[26])),
        ];
        for (name, bytes) in files {
            let name = format!("gzip/emnist-letters-{of}-{name}-ubyte.gz");
            zip.start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(&bytes).unwrap();
        }
    }
    zip.finish().unwrap();
    let data = NamedSet::by_name("emnist-letters")
        .unwrap()
        .from_folder(folder.path())
        .unwrap();
    assert_eq!(data.test.bytes(0).unwrap(), [1, 3, 2, 4]);
    assert_eq!(data.class_names[data.test.labels()[0] as usize], "z");
    let error = NamedSet::by_name("emnist-digits")
        .unwrap()
        .from_folder(folder.path());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("emnist-digits-train")
    );
}

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Breaks off after so many bytes.
    Breaks(usize),
    /// Goes on where it is asked to.
    Ranges,
    /// Sends all, whatever is asked.
    Whole,
    Missing,
}

/// A server that answers one request after the other in these manners; what it was asked to go on from.
fn server(contents: Vec<u8>, manners: Vec<Manner>) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    thread::spawn(move || {
        for manner in manners {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut from = None;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap_or_default().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().ok();
                }
                if line.is_empty() {
                    break;
                }
            }
            seen.lock().unwrap().push(from);
            let start = from.filter(|_| manner != Manner::Whole).unwrap_or(0);
            let rest = &contents[start..];
            let head = match manner {
                Manner::Missing => "HTTP/1.1 404 Not Found\r\nContent-Length: 0".to_string(),
                _ if start > 0 => format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Length: {}",
                    rest.len()
                ),
                _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}", rest.len()),
            };
            let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n");
            let _ = match manner {
                Manner::Breaks(after) => stream.write_all(&rest[..after.min(rest.len())]),
                Manner::Missing => Ok(()),
                _ => stream.write_all(rest),
            };
        }
    });
    (url, asked)
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_ended() {
    let contents: Vec<u8> = (0..300_000u32).map(|i| (i * 7) as u8).collect();
    let sum = sha256(&contents);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let size = contents.len() as u64;
    let (url, asked) = server(
        contents.clone(),
        vec![Manner::Breaks(100_000), Manner::Ranges],
    );
    let mut told = Vec::new();
    fetch_file(&url, &to, (size, &sum), &mut |done| told.push(done)).unwrap();
    assert_eq!(fs::read(&to).unwrap(), contents);
    assert_eq!(*asked.lock().unwrap(), [None, Some(100_000)]);
    assert!(told.is_sorted() && told.last() == Some(&size));
    assert!(!folder.path().join("file.part").exists());

    // Where a process was killed, another one goes on; a server without ranges sends all again.
    let again = folder.path().join("again");
    for manner in [Manner::Ranges, Manner::Whole] {
        fs::write(folder.path().join("again.part"), &contents[..50]).unwrap();
        let (url, asked) = server(contents.clone(), vec![manner]);
        fetch_file(&url, &again, (size, &sum), &mut |_| ()).unwrap();
        assert_eq!(*asked.lock().unwrap(), [Some(50)]);
        assert_eq!(fs::read(&again).unwrap(), contents);
        fs::remove_file(&again).unwrap();
    }
}

#[test]
fn another_file_is_refused_and_nothing_of_it_stays() {
    let contents = vec![5u8; 1000];
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let wrong = sha256(b"another");
    let (url, _) = server(contents, vec![Manner::Whole]);
    let error = fetch_file(&url, &to, (1000, &wrong), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("SHA-256") && error.contains(&wrong),
        "{error}"
    );
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn what_cannot_be_had_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let sum = sha256(b"");
    let (url, _) = server(vec![1; 10], vec![Manner::Missing]);
    let error = fetch_file(&url, &to, (10, &sum), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("404"), "{error}");
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}/file");
    let error = fetch_file(&url, &to, (10, &sum), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Is there a network?") && error.contains("0 of 10 bytes"),
        "{error}"
    );
    // What was fetched stays.
    let (url, _) = server(vec![1; 10], vec![Manner::Breaks(4); 1]);
    let error = fetch_file(&url, &to, (10, &sum), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("4 of 10 bytes"), "{error}");
    assert_eq!(fs::read(folder.path().join("file.part")).unwrap(), [1; 4]);
}
