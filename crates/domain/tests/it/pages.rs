//! The pages: their tables, quotations, links and paths agree with the repository.

use std::fs;
use std::path::{Path, PathBuf};

use crm_chat_conformance::CASES;
use crm_chat_domain::Rule;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(page: &str) -> String {
    let path = root().join(page);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn readme_has_the_table_of_the_rules() {
    let readme = read("README.md");
    let numbered =
        |line: &&str| line.split(' ').nth(1).is_some_and(|cell| cell.parse::<u8>().is_ok());
    let rows = readme.lines().filter(numbered);
    let expected = Rule::ALL.map(|rule| {
        let code = rule.code().map(|code| format!("`{code}`"));
        let code = code.unwrap_or_else(|| "*no chat*, a success".to_owned());
        format!("| {} | {} | {code} | {} |", rule.number(), rule.statement(), rule.status())
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn rules_page_has_every_code_and_status() {
    let page = read("docs/rules.md");
    for rule in Rule::ALL {
        let code = rule.code().map_or_else(String::new, |code| format!(" `{code}`"));
        let start = format!("| {} | ", rule.number());
        let cells = format!(" |{code} | {} | ", rule.status());
        let rows = page.lines().filter(|line| line.starts_with(&start));
        assert!(rows.clone().any(|row| row.contains(&cells)), "{rule}: no row with{cells}");
    }
}

/// Returns the Rust blocks of a page that are not doctests.
fn quotations(page: &str) -> Vec<String> {
    let blocks = page.split("```rust,ignore\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Returns a text without the white space and the commas on which rustfmt decides.
fn bare(text: &str) -> String {
    let text: String = text.split_whitespace().collect();
    text.replace(",)", ")").replace(",}", "}")
}

#[test]
fn tutorial_quotes_the_backend_that_is_built() {
    let backend = read("docs/document-backend/src/lib.rs")
        + &read("docs/document-backend/tests/conformance.rs");
    let backend = bare(&backend);
    for quotation in quotations(&read("docs/writing-a-backend.md")) {
        for part in quotation.split("// …\n") {
            let part = bare(part.trim_end_matches("}\n"));
            assert!(backend.contains(&part), "not in docs/document-backend:\n{quotation}");
        }
    }
}

/// Returns every page of the repository: those at the root, under `docs` and of the crates.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let crates = fs::read_dir(root().join("crates")).unwrap();
    pages.extend(crates.map(|entry| entry.unwrap().path().join("README.md")));
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    pages.retain(|page| page.is_file());
    pages
}

/// Returns the files to which a page links, inline or by a definition: no web addresses, no places
/// on the same page, and no items of a crate.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let inline = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    inline.chain(definitions(page).map(|(_, target)| target)).filter(|target| {
        !target.contains("::") && !target.contains("://") && !target.starts_with('#')
    })
}

/// Returns the names and the targets of the links that a page defines.
fn definitions(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// The guides on docs.rs take the targets of their links from this list.
#[test]
fn every_link_of_a_guide_has_a_target_on_the_web() {
    let list = read("docs/links.md");
    for (name, target) in definitions(&list) {
        assert!(target.starts_with("https://"), "{name}: {target}");
        let file = root().join("docs").join(name.split('#').next().unwrap());
        assert!(file.exists(), "{name}");
    }
    for page in pages().iter().filter(|page| page.parent() == Some(&root().join("docs"))) {
        let text = fs::read_to_string(page).unwrap();
        for target in links(&text) {
            let known = definitions(&list).any(|(name, _)| name == target);
            assert!(known, "{}: `{target}` is missing in docs/links.md", page.display());
        }
        let mut inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let relative = inline.find(|target| !target.contains("://") && !target.starts_with('#'));
        assert_eq!(relative, None, "{}: define it at the end of the page", page.display());
    }
}

#[test]
fn links_between_the_pages_exist() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let file = target.split('#').next().unwrap();
            let path = page.parent().unwrap().join(file);
            assert!(path.exists(), "{}: {target}", page.display());
        }
    }
}

/// Returns the paths of the repository that a page names in back-ticks.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let spans = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| {
        let folders = ["crates/", "docs/", ".ci/", ".github/", ".config/"];
        let plain = !span.contains([' ', '*', '<', '{']);
        plain && folders.iter().any(|folder| span.starts_with(folder))
    })
}

#[test]
fn paths_named_by_the_pages_exist() {
    let mut count = 0;
    for page in pages() {
        for path in paths(&fs::read_to_string(&page).unwrap()) {
            assert!(root().join(path).exists(), "{}: `{path}`", page.display());
            count += 1;
        }
    }
    assert!(count > 0, "the pages name no path: is this test reading them?");
}

/// Returns the ids of cases, such as `R12`, that the comments of a source file give in parentheses.
fn case_ids(source: &str) -> impl Iterator<Item = &str> {
    let comments = source.lines().filter(|line| line.trim_start().starts_with("//"));
    let words = comments.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()));
    words.filter(|word| {
        let (letter, number) = word.split_at_checked(1).unwrap_or_default();
        "RKNOUDE".contains(letter) && !letter.is_empty() && number.parse::<u8>().is_ok()
    })
}

#[test]
fn cases_named_by_the_ports_exist() {
    let ports = read("crates/domain/src/ports.rs");
    for id in case_ids(&ports) {
        assert!(CASES.iter().any(|case| case.id == id), "ports.rs names the unknown case {id}");
    }
    assert!(case_ids(&ports).count() > 20, "every MUST names its cases");
}
