//! Finishes the site that `tools/site.sh` builds: gives the source files that the guide links to pages of their own, and checks
//! that every link of every page leads somewhere and that nothing is loaded from another host.
//!
//! ```sh
//! cargo run -p zerokara-labs --example site -- target/site
//! ```

use html5gum::{Token, Tokenizer};
use percent_encoding::percent_decode_str;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    error::Error,
    fs,
    path::{Component, Path, PathBuf},
};
use zerokara::figures::{STYLE, html::escape};
use zerokara_labs::{LABS, Language};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How the guide's chapters write the way to the project's folder.
const ROOT: &str = "href=\"../../../../";

fn main() -> Result<()> {
    let site = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let project: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect();
    let mut linked = BTreeSet::new();
    for language in ["en", "ja"] {
        for page in pages(&site.join(language))? {
            let text = fs::read_to_string(&page)?;
            fs::write(&page, with_source_pages(&text, &project, &mut linked))?;
        }
    }
    for path in &linked {
        let page = site.join(format!("source/{path}.html"));
        fs::create_dir_all(page.parent().ok_or("a page lies in a folder")?)?;
        fs::write(page, source_page(path, &project)?)?;
    }
    // The palette is that of all pages and pictures.
    let style = site.join("site.css");
    fs::write(&style, format!("{STYLE}{}", fs::read_to_string(&style)?))?;
    let landing = site.join("index.html");
    let text = fs::read_to_string(&landing)?;
    fs::write(landing, text.replacen("<!-- labs -->", &all_labs(), 1))?;
    let pages = pages(&site)?;
    let wrong = wrong_links(&site, &pages)?;
    println!(
        "{} pages, {} of them source files, {} wrong links",
        pages.len(),
        linked.len(),
        wrong.len()
    );
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// Links to the pages of all labs, in both languages, by chapter.
fn all_labs() -> String {
    let mut out = String::new();
    for labs in LABS.chunk_by(|a, b| a.chapter() == b.chapter()) {
        out += "<ul class=\"labs\">\n";
        for lab in labs {
            let [english, japanese] = Language::ALL.map(|l| escape(lab.text(l).title));
            out += &format!(
                "<li><a href=\"labs/{}.html\">{english} <span lang=\"ja\">{japanese}</span></a></li>\n",
                lab.name()
            );
        }
        out += "</ul>\n";
    }
    out
}

/// All pages in a folder, in order.
fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "html" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A page of the guide whose links to the project's files lead to pages of the site.
fn with_source_pages(text: &str, project: &Path, linked: &mut BTreeSet<String>) -> String {
    let mut parts = text.split(ROOT);
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (path, rest) = part.split_once('"').unwrap_or((part, ""));
        let target = match explained_lab(path) {
            Some(lab) => format!("../labs/{lab}.html"),
            None => {
                // The book takes links to Markdown to be links to its own pages.
                let path = match path.strip_suffix(".html") {
                    Some(stem) if !project.join(path).exists() => format!("{stem}.md"),
                    _ => path.to_string(),
                };
                let target = format!("../source/{path}.html");
                linked.insert(path);
                target
            }
        };
        out += &format!("href=\"{target}\"{rest}");
    }
    out
}

/// The lab whose explanation this is.
fn explained_lab(path: &str) -> Option<String> {
    let name = path.strip_prefix("crates/zerokara-labs/src/labs/")?.rsplit('/').next()?;
    let stem = [".en.html", ".ja.html"].iter().find_map(|end| name.strip_suffix(end))?;
    Some(stem.replace('_', "-"))
}

/// A file with numbered lines, or a folder with the names of its files.
fn source_page(path: &str, project: &Path) -> Result<String> {
    let file = project.join(path);
    let content = if file.is_dir() {
        let names: Result<Vec<String>> = fs::read_dir(&file)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect();
        let mut names = names?;
        names.sort();
        names.join("\n")
    } else {
        fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?
    };
    let lines: String = content
        .lines()
        .zip(1..)
        .map(|(line, n)| {
            format!("<span id=\"L{n}\"><i>{n:>4}</i>  {}</span>\n", escape(line))
        })
        .collect();
    let home = "../".repeat(path.split('/').count());
    let path = escape(path);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{path}</title><link rel=\"stylesheet\" href=\"{home}site.css\"></head>\n\
         <body class=\"source\"><nav><a href=\"{home}index.html\">Zerokara</a></nav><h1>{path}</h1><pre>{lines}</pre></body></html>\n"
    ))
}

/// What a page has: places that can be linked to, what it links to, and what it loads.
#[derive(Default)]
struct Content {
    anchors: HashSet<String>,
    links: Vec<String>,
    loads: Vec<String>,
}

fn content(text: &str) -> Content {
    let mut content = Content::default();
    for Ok(token) in Tokenizer::new(text) {
        let Token::StartTag(tag) = token else { continue };
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        for (key, value) in &tag.attributes {
            let value = String::from_utf8_lossy(value).into_owned();
            match &key[..] {
                b"id" => drop(content.anchors.insert(value)),
                b"name" if name == "a" => drop(content.anchors.insert(value)),
                b"href" if matches!(&name[..], "a" | "use") => content.links.push(value),
                b"href" | b"src" => content.loads.push(value),
                _ => {}
            }
        }
    }
    content
}

fn wrong_links(site: &Path, pages: &[PathBuf]) -> Result<Vec<String>> {
    let contents: Result<BTreeMap<&Path, Content>> = pages
        .iter()
        .map(|page| Ok((page.as_path(), content(&fs::read_to_string(page)?))))
        .collect();
    let contents = contents?;
    let mut wrong = Vec::new();
    for (page, content) in &contents {
        let shown = page.strip_prefix(site).unwrap_or(page).display();
        for load in content.loads.iter().filter(|load| is_elsewhere(load)) {
            wrong.push(format!("{shown} loads {load}"));
        }
        for link in content.links.iter().chain(&content.loads) {
            if is_elsewhere(link)
                || link.starts_with("data:")
                || link.starts_with("mailto:")
            {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.to_path_buf(),
                _ => resolved(&page.with_file_name(path)),
            };
            let anchor = percent_decode_str(anchor).decode_utf8_lossy();
            let found = match contents.get(target.as_path()) {
                Some(target) => anchor.is_empty() || target.anchors.contains(&*anchor),
                None => target.is_file(),
            };
            if !found {
                wrong.push(format!("{shown} links to {link}"));
            }
        }
    }
    Ok(wrong)
}

fn is_elsewhere(link: &str) -> bool {
    ["http:", "https:", "//"].iter().any(|start| link.starts_with(start))
}

/// The path without `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if out.file_name().is_some() => drop(out.pop()),
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}
