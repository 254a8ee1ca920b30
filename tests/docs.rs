//! Checks that the pages are true: links and anchors lead somewhere, tests and commands that they name exist, every kind of error
//! is explained, and every source file has a description.

use std::collections::BTreeSet;
use std::path::Path;

use rotation_tests::pages::{files, lines, nothing, read, shown, top};

/// The relative links of a page: text and target.
fn links(page: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (_, line) in lines(page).into_iter().filter(|(fence, _)| fence.is_none()) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("](") {
            let text = before.rsplit_once('[').map_or("", |(_, text)| text);
            let (target, after) = after.split_once(')').unwrap_or((after, ""));
            if !target.contains("://") {
                links.push((text, target));
            }
            rest = after;
        }
    }
    links
}

/// The anchors of a page, made from its headings as code hosts make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = lines(page).into_iter().filter(|(fence, line)| fence.is_none() && line.starts_with('#'));
    let anchor = |line: &str| {
        let kept = |c: char| c.is_alphanumeric() || "-_ ".contains(c);
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading.chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-")
    };
    headings.map(|(_, line)| anchor(line)).collect()
}

/// The error about a link, if there is one. A link with the name of a test leads to the file that has it.
fn broken(page: &Path, text: &str, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.parent().expect("a page is in a folder");
    let file = if path.is_empty() { page.to_owned() } else { folder.join(path) };
    let code = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    if !file.exists() {
        Some("there is no such file".to_owned())
    } else if !anchor.is_empty() && !anchors(&read(&file)).contains(anchor) {
        Some("there is no such heading".to_owned())
    } else if let Some(name) = code.filter(|_| path.ends_with(".rs"))
        && !read(&file).contains(&format!("fn {name}("))
    {
        Some(format!("there is no test {name}"))
    } else {
        None
    }
}

#[test]
fn every_link_leads_somewhere() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in files(".md") {
        for (text, target) in links(&read(&page)) {
            seen += 1;
            wrong.extend(
                broken(&page, text, target).map(|why| format!("{}: [{text}]({target}): {why}", shown(&page))),
            );
        }
    }
    nothing(&wrong);
    assert!(seen > 50, "only {seen} links were seen");
}

#[test]
fn every_kind_of_error_is_explained_and_nothing_else() {
    let source = read(&top().join("shared/src/error.rs"));
    let kinds: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Kind::")?.split_once(" => \""))
        .filter(|(kind, name)| name.trim_end_matches("\",") == *kind)
        .map(|(kind, _)| kind)
        .collect();
    let page = read(&top().join("docs/operations.md"));
    let (_, section) = page.split_once("## Error kinds").expect("operations.md explains error kinds");
    let section = section.split("\n## ").next().unwrap_or_default();
    let explained: BTreeSet<&str> = section.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(kinds.len() > 10, "{kinds:?}");
    assert_eq!(kinds, explained);
}

/// The verbs of `cargo xtask`, from its own usage.
fn xtask_verbs() -> BTreeSet<String> {
    let source = read(&top().join("xtask/src/main.rs"));
    let (_, usage) = source.split_once("const USAGE").expect("xtask has a usage");
    let usage = usage.split("\";").next().unwrap_or_default();
    let verbs = usage.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    verbs.map(str::to_owned).collect()
}

/// The commands of `turnlock`, from the list behind its help.
fn turnlock_commands() -> BTreeSet<String> {
    let source = read(&top().join("cli/src/command.rs"));
    let (_, list) = source.split_once("enum Command {").expect("turnlock has commands");
    let list = list.split('}').next().unwrap_or_default();
    let commands = list.lines().filter_map(|line| line.trim().split_once('('));
    commands.map(|(name, _)| name.to_lowercase()).collect()
}

/// Whether a command line works for somebody with this project.
fn known(command: &str, xtask: &BTreeSet<String>, turnlock: &BTreeSet<String>) -> bool {
    let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
    match words[..] {
        ["cargo", "xtask", verb, ..] => xtask.contains(verb),
        ["cargo", "run", "--package", "turnlock", "--", verb, ..] | ["turnlock", verb, ..] => {
            turnlock.contains(verb)
        }
        ["cargo", "build" | "test", "--package", package, ..] => {
            let folder = package.strip_prefix("rotate-").unwrap_or(package);
            ["functions", "tests"]
                .iter()
                .any(|kind| top().join(kind).join(folder).join("Cargo.toml").exists())
        }
        ["sam" | "aws" | "cp", ..] => true,
        _ => false,
    }
}

#[test]
fn every_command_in_a_console_block_is_known() {
    let (xtask, turnlock) = (xtask_verbs(), turnlock_commands());
    assert!(xtask.contains("test") && turnlock.contains("lab"), "{xtask:?} {turnlock:?}");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in files(".md") {
        for (_, line) in lines(&read(&page)).into_iter().filter(|(fence, _)| *fence == Some("console")) {
            let Some(typed) = line.trim_start().strip_prefix("$ ") else { continue };
            for command in typed.split(" && ") {
                seen += 1;
                if !known(command, &xtask, &turnlock) {
                    wrong.push(format!("{}: {command}", shown(&page)));
                }
            }
        }
    }
    nothing(&wrong);
    assert!(seen > 10, "only {seen} commands were seen");
}

/// The texts in capitals between quotes in a source: the variables that a function reads from its environment.
fn variables(source: &str) -> BTreeSet<String> {
    let is_name = |text: &&str| {
        text.len() > 5
            && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            && text.contains(['_', 'R'])
            && !text.starts_with('_')
    };
    source.split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect()
}

#[test]
fn every_variable_that_a_function_reads_is_in_the_table_and_in_the_template_if_a_deployment_sets_it() {
    let settings = read(&top().join("shared/src/value/settings.rs"));
    let settings = settings.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let target = read(&top().join("functions/api-key/src/lib.rs"));
    let mut read_here = variables(&settings);
    read_here.extend(variables(&target).into_iter().filter(|name| name.starts_with("PROVIDER")));
    assert!(read_here.len() > 12, "{read_here:?}");
    let page = read(&top().join("docs/architecture.md"));
    let (_, table) = page.split_once("## What is where in the environment").expect("the page has the table");
    let missing = read_here.iter().filter(|name| !table.contains(&format!("`{name}`")));
    nothing(&missing.map(|name| format!("docs/architecture.md: {name}")).collect::<Vec<_>>());
    // Variables that a layer or Lambda itself sets have no parameter.
    let template = read(&top().join("template.yaml"));
    let set = |name: &&String| !["SSL_CERT_FILE", "PROVIDERS_DIR"].contains(&name.as_str());
    let unset = read_here.iter().filter(set).filter(|name| !template.contains(&format!("{name}: ")));
    nothing(&unset.map(|name| format!("template.yaml: {name}")).collect::<Vec<_>>());
}

#[test]
fn figures_that_two_pages_tell_are_the_same_and_those_of_the_model_are_its_own() {
    let model = read(&top().join("tests/model.rs"));
    let readme = read(&top().join("README.md"));
    let proof = read(&top().join("docs/proof.md"));
    for states in ["22,621", "38,846"] {
        assert!(model.contains(&states.replace(',', "_")), "tests/model.rs does not assert {states}");
        assert!(readme.contains(states) && proof.contains(states), "{states}");
    }
    // The table of the sweep must add up to the number beside it, which the front page repeats.
    let number = |text: &str| text.trim().replace(',', "").parse::<u32>().ok();
    let (_, section) = proof.split_once("## The sweep").expect("the page tells of the sweep");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| target"));
    let cases: u32 = rows.filter_map(|row| number(row.split('|').nth(3)?)).sum();
    let (before, _) = section.split_once(" cases, 0 failed").expect("the page says what it came to");
    let said = before.rsplit(['\n', ' ']).next().expect("a number stands before it");
    assert_eq!(number(said), Some(cases));
    assert!(readme.contains(&format!("[{said} cases]")), "README.md does not say {said} cases");
}

#[test]
fn every_source_file_says_what_it_is() {
    let sources = files(".rs");
    let silent = sources.iter().filter(|path| !read(path).starts_with("//! "));
    nothing(&silent.map(|path| shown(path)).collect::<Vec<_>>());
}
