//! The pages say what the code says.

use std::fs;
use std::path::{Path, PathBuf};

use crm_chat_domain::Rule;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(page: &str) -> String {
    let path = root().join(page);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_readme_has_the_table_of_the_rules() {
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
fn the_page_of_the_rules_has_every_code_and_status() {
    let page = read("docs/rules.md");
    for rule in Rule::ALL {
        let code = rule.code().map_or_else(String::new, |code| format!(" `{code}`"));
        let start = format!("| {} | ", rule.number());
        let cells = format!(" |{code} | {} | ", rule.status());
        let rows = page.lines().filter(|line| line.starts_with(&start));
        assert!(rows.clone().any(|row| row.contains(&cells)), "{rule}: no row with{cells}");
    }
}

/// The Rust blocks of a page that are not doctests.
fn quotations(page: &str) -> Vec<String> {
    let blocks = page.split("```rust,ignore\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// A text without what rustfmt decides.
fn bare(text: &str) -> String {
    let text: String = text.split_whitespace().collect();
    text.replace(",)", ")")
}

#[test]
fn the_tutorial_quotes_the_backend_that_is_built() {
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

/// The targets of a page's links that are not addresses of the web.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#'))
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut pages = vec![root().join("README.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let file = target.split('#').next().unwrap();
            let path = page.parent().unwrap().join(file);
            assert!(path.exists(), "{}: {target}", page.display());
        }
    }
}
