//! `cargo xtask template`: makes template.yaml from the text that all functions share and each target's own description.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::test::functions_in;

/// The template that people deploy.
pub(crate) const TEMPLATE: &str = "template.yaml";

/// The text that all functions share. The file explains its placeholders.
const STACK: &str = include_str!("../template/stack.yaml");
/// The part of the template for each function.
const FUNCTION: &str = include_str!("../template/function.yaml");

/// The keys of a target's description, each with its default. A description must have a key that has no default.
const KEYS: [(&str, Option<&str>); 8] = [
    ("Title", None),
    ("DeployedByDefault", None),
    ("AdminSecretActions", None),
    ("Parameters", Some("")),
    ("Conditions", Some("")),
    ("Environment", Some("{}")),
    ("Statements", Some("")),
    // Names the statements whose resource is "*". Only tests/deploy/roles.py reads this key.
    ("AnyResource", Some("[]")),
];

pub(crate) fn write() -> ExitCode {
    let written = generated(Path::new("")).and_then(|text| {
        fs::write(TEMPLATE, &text).map_err(|error| format!("{TEMPLATE}: {error}"))?;
        Ok(text.lines().count())
    });
    match written {
        Ok(lines) => {
            println!("{TEMPLATE}: {lines} lines");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The template of every function of the workspace.
fn generated(top: &Path) -> Result<String, String> {
    Ok(stack(&targets(top)?))
}

fn targets(top: &Path) -> Result<Vec<Target>, String> {
    let functions = functions_in(top)?;
    let names = functions.iter().filter_map(|function| function.strip_prefix("rotate-"));
    names.map(|name| Target::read(name, &top.join("functions").join(name))).collect()
}

/// The stack's text. A line with a placeholder is written once for each target.
fn stack(targets: &[Target]) -> String {
    let mut text = String::new();
    for line in STACK.lines() {
        if line.contains('<') {
            targets.iter().for_each(|target| target.fill(line, &mut text));
        } else {
            put(line, &mut text);
        }
    }
    text
}

/// Appends a line, unless it is one that explains xtask/template to its readers.
fn put(line: &str, text: &mut String) {
    if !line.starts_with("##") {
        text.push_str(line);
        text.push('\n');
    }
}

/// The name of a target's resources, from the name of its folder or program: `api-key` is `ApiKey`.
pub(crate) fn resource(name: &str) -> String {
    name.split('-').map(capital).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A target, as the values of its placeholders.
struct Target {
    values: BTreeMap<&'static str, String>,
}

impl Target {
    /// Reads the description in a target's folder.
    fn read(name: &str, folder: &Path) -> Result<Target, String> {
        let path = folder.join("target.yaml");
        let failed = |why: &str| {
            format!("{}: {why}. docs/contributing.md, step 6, lists what a description has", path.display())
        };
        let text = fs::read_to_string(&path).map_err(|error| failed(&error.to_string()))?;
        described(&text).map(|values| Target::new(name, values)).map_err(|why| failed(&why))
    }

    /// Adds the values that follow from a target's name and its description.
    fn new(name: &str, mut values: BTreeMap<&'static str, String>) -> Target {
        let title = values["Title"].clone();
        values.insert("name", name.to_owned());
        values.insert("Name", resource(name));
        values.insert("Title", capital(&title));
        values.insert("title", title);
        values.insert("ParameterNames", parameter_names(&values["Parameters"]));
        let mut target = Target { values };
        let mut function = String::new();
        FUNCTION.lines().for_each(|line| target.fill(line, &mut function));
        target.values.insert("Function", function);
        target
    }

    /// Appends a line with this target's values. A placeholder that is a comment by itself becomes several lines, indented as the comment.
    fn fill(&self, line: &str, text: &mut String) {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let key = rest.strip_prefix("# <").and_then(|rest| rest.strip_suffix('>'));
        match key.and_then(|key| self.values.get(key)) {
            Some(block) => block.lines().for_each(|line| put(format!("{indent}{line}").trim_end(), text)),
            None => put(&self.replaced(line), text),
        }
    }

    fn replaced(&self, line: &str) -> String {
        self.values
            .iter()
            .fold(line.to_owned(), |line, (key, value)| line.replace(&format!("<{key}>"), value))
    }
}

/// The value of each key of a description: the rest of the key's line, or the lines below without their indentation.
fn described(text: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let (mut values, mut key) = (BTreeMap::new(), "");
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(below) = line.strip_prefix("  ") {
            let block: &mut String = values.get_mut(key).ok_or("no key stands above the first line")?;
            block.push_str(below);
            block.push('\n');
        } else {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("the line {line:?} has no key"))?;
            key = known(name)?;
            let value = value.split(" #").next().unwrap_or_default().trim().to_owned();
            if values.insert(key, value).is_some() {
                return Err(format!("it has the key {key} twice"));
            }
        }
    }
    with_defaults(values)
}

/// Adds the keys that a description leaves out.
fn with_defaults(
    mut values: BTreeMap<&'static str, String>,
) -> Result<BTreeMap<&'static str, String>, String> {
    for (key, default) in KEYS {
        if !values.contains_key(key) {
            let default = default.ok_or_else(|| format!("it lacks the key {key}"))?;
            values.insert(key, default.to_owned());
        }
    }
    Ok(values)
}

fn known(name: &str) -> Result<&'static str, String> {
    let keys = KEYS.map(|(key, _)| key);
    let found = keys.into_iter().find(|key| *key == name);
    found.ok_or_else(|| format!("{name:?} is not a key that it can have ({})", keys.join(", ")))
}

/// The names in a block of parameters, as a list.
fn parameter_names(block: &str) -> String {
    let names =
        block.lines().filter(|line| !line.starts_with([' ', '#'])).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| format!("- {name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The top of the workspace; tests run in their package's folder.
    const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    #[test]
    fn the_committed_template_is_the_one_that_the_command_writes() {
        let committed = fs::read_to_string(Path::new(TOP).join(TEMPLATE)).expect("template.yaml can be read");
        let written = generated(Path::new(TOP)).expect("every function has a description");
        let differs = |(line, (is, should)): (usize, (&str, &str))| {
            (is != should).then(|| format!("line {line} is\n  {is}\ninstead of\n  {should}"))
        };
        let lines = committed.lines().zip(written.lines());
        let first =
            (1..).zip(lines).find_map(differs).unwrap_or_else(|| "one is longer than the other".to_owned());
        assert!(
            committed == written,
            "template.yaml differs from its sources; run `cargo xtask template`: {first}"
        );
    }

    #[test]
    fn a_new_target_needs_nothing_but_its_description() {
        let mut targets = targets(Path::new(TOP)).expect("every function has a description");
        let before = stack(&targets);
        let example = Path::new(TOP).join("tests/redis");
        targets.push(Target::read("redis", &example).expect("the example has a description"));
        let after = stack(&targets);
        for wanted in
            ["  deployRedis:", "  RotateRedis:", "  RedisFunctionRole:", "  RedisLate:", "  RedisRoleArn:"]
        {
            assert!(after.lines().any(|line| line.starts_with(wanted)), "no line begins with {wanted:?}");
        }
        assert!(!after.contains('<'), "a placeholder is left");
        let mut rest = after.lines();
        assert!(before.lines().all(|line| rest.any(|other| other == line)), "another target's lines changed");
    }

    #[test]
    fn a_description_names_what_is_wrong_with_it() {
        let whole = "Title: x\nDeployedByDefault: false # yet\nAdminSecretActions: y\n";
        let values = described(whole).expect("it has all that is needed");
        assert_eq!((&*values["DeployedByDefault"], &*values["Environment"]), ("false", "{}"));
        let wrong = |text: &str| described(text).expect_err("it is wrong");
        assert_eq!(wrong("Title: x\n"), "it lacks the key DeployedByDefault");
        assert_eq!(wrong(&format!("{whole}Title: z\n")), "it has the key Title twice");
        assert_eq!(wrong("  a: b\n"), "no key stands above the first line");
        assert_eq!(wrong("Title\n"), "the line \"Title\" has no key");
        assert!(wrong("Titel: x\n").starts_with("\"Titel\" is not a key that it can have (Title, "));
    }
}
