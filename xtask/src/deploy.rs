//! `cargo xtask deploy-check`: the checks of a deployment that need no AWS account.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use crate::command::{cargo, command, copy_tree, run, target};
use crate::package::{PROCESSORS, add_target, as_anywhere, build, pack, with_cargo_lambda};
use crate::parts::Parts;
use crate::setup::{self, remove};
use crate::template::{TEMPLATE, resource};
use crate::test::{functions, run_tests};

/// The virtual environments. Each tool has its own, because the tools need different versions of the same packages.
const SAM: [&str; 2] = ["aws-sam-cli==1.170.0", "cfn-lint==1.58.0"];
const CHECKOV: [&str; 1] = ["checkov==3.3.30"];
const MOTO: [&str; 4] = [
    "moto[cloudformation,server]==5.2.5",
    "boto3==1.44.5",
    "aws-sam-translator==1.115.0",
    "python-hcl2==8.1.4",
];

const CDK: [&str; 4] =
    ["aws-cdk-lib@2.276.0", "constructs@10.8.1", "typescript@5.9.3", "@types/node@20.19.43"];

/// Runs every check, cheap ones first.
pub(crate) fn run_all() -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", || {
        setup::packages()?;
        // In parallel, because each mostly waits for downloads.
        thread::scope(|scope| {
            let environments = [("sam", &SAM[..]), ("checkov", &CHECKOV), ("moto", &MOTO)];
            let made =
                environments.map(|(name, packages)| scope.spawn(move || setup::python(name, packages)));
            made.into_iter().try_for_each(|made| made.join().map_err(|_| "a thread panicked")?.map(drop))
        })
    });
    parts.part("cfn-lint", || cfn_lint(&[TEMPLATE, "docs/examples/rotation.yaml"]));
    parts.part("sam validate", || run(&mut sam(&["validate", "--lint"])?));
    parts.part("checkov", checkov);
    parts.part("stack", || check("stack.py", &[TEMPLATE.as_ref()]));
    parts.part("examples", || check("examples.py", &["docs".as_ref()]));
    parts.part("sam build", sam_build);
    // Three rotations in a row show that a built function works; `cargo xtask test` covers the rest. One provider of API keys is
    // enough, because providers are only files. The command names the whole workspace, so that no dependency is built again for
    // each function.
    parts.part("functions as built", || {
        run_tests(&["--workspace", "--test", "live", "--", "three", "providers::http"], &built_folder())
    });
    parts.part("roles", || check("roles.py", &[TEMPLATE.as_ref(), &built_folder()]));
    parts.part("cargo lambda invoke", || {
        let mut check = python("invoke.py", &["rotate-postgres".as_ref(), "tests/events".as_ref()])?;
        run(with_cargo_lambda(&mut check)?)
    });
    parts.part("the same bytes elsewhere", same_bytes);
    parts.part("cdk", cdk); // it needs the zip of the part before
    parts.end()
}

fn cfn_lint(files: &[&str]) -> Result<(), String> {
    run(&mut command(setup::python("sam", &SAM)?.join("cfn-lint"), files))
}

/// SAM, without its question for a Region and its reports about usage.
fn sam(arguments: &[&str]) -> Result<Command, String> {
    let mut sam = command(setup::python("sam", &SAM)?.join("sam"), arguments);
    sam.args(["--template", TEMPLATE]).env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1");
    Ok(sam)
}

fn checkov() -> Result<(), String> {
    let arguments =
        ["--skip-download", "--quiet", "--compact", "--framework", "cloudformation", "--file", TEMPLATE];
    run(&mut command(setup::python("checkov", &CHECKOV)?.join("checkov"), &arguments))
}

/// A program in tests/deploy. Each says what it checks.
fn python(name: &str, arguments: &[&Path]) -> Result<Command, String> {
    let mut python = command(setup::python("moto", &MOTO)?.join("python"), &[]);
    python.arg(Path::new("tests/deploy").join(name)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(python)
}

fn check(name: &str, arguments: &[&Path]) -> Result<(), String> {
    run(&mut python(name, arguments)?)
}

/// Builds every function as `sam build` does, for this machine's processor, so that the result can run here.
fn sam_build() -> Result<(), String> {
    let name = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let processor =
        PROCESSORS.iter().find(|processor| processor.name == name).ok_or("Lambda has no such processor")?;
    // SAM builds one function after another, and linking one uses only one core. So all are built together first, with SAM's
    // options, and SAM finds them ready.
    run(as_anywhere(&mut cargo(&["lambda", "build", "--release", processor.option]), &top()?)?)?;
    let mut build = sam(&["build", "--parameter-overrides", &format!("architecture={name}")])?;
    build.arg("--build-dir").arg(sam_folder());
    run(as_anywhere(&mut build, &top()?)?)?;
    // The tests look for programs by the names of their packages.
    let folder = built_folder();
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    remove(&folder)?;
    fs::create_dir_all(&folder).map_err(failed)?;
    for name in functions()? {
        fs::copy(sam_folder().join(resource(&name)).join("bootstrap"), folder.join(&name)).map_err(failed)?;
    }
    Ok(())
}

/// Compiles the CDK example, makes its template and lints the template.
fn cdk() -> Result<(), String> {
    let folder = setup::npm("cdk", &CDK)?;
    for file in ["docs/examples/rotation.ts", "tests/deploy/synth.ts"] {
        let copy = folder.join(Path::new(file).file_name().ok_or("a file has a name")?);
        fs::copy(file, &copy).map_err(|error| format!("{file}: {error}"))?;
    }
    let options =
        ["--strict", "--skipLibCheck", "--module", "commonjs", "--target", "es2022", "--types", "node"];
    // By default the compiler would look for types where it was started.
    let types = folder.join("node_modules/@types");
    let mut compile = command(folder.join("node_modules/.bin/tsc"), &options);
    run(compile.arg("--typeRoots").arg(types).arg(folder.join("synth.ts")))?;
    let made = folder.join("made");
    run(command("node", &[]).arg(folder.join("synth.js")).arg(&made))?;
    // The CDK also writes dependencies that follow from references.
    let template = made.join("Rotation.template.json");
    cfn_lint(&["--ignore-checks", "W3005", "--template", &template.to_string_lossy()])
}

fn top() -> Result<PathBuf, String> {
    env::current_dir().map_err(|error| error.to_string())
}

fn sam_folder() -> PathBuf {
    target().join("sam")
}

fn built_folder() -> PathBuf {
    target().join("deployed")
}

/// Builds one function from a copy of the tree in another folder, and compares it with the one built here.
fn same_bytes() -> Result<(), String> {
    let name = "rotate-postgres";
    let elsewhere = target().join("elsewhere");
    remove(&elsewhere)?;
    let tree = elsewhere.join("tree");
    copy_tree(&tree)?;
    let processor = &PROCESSORS[0];
    let target = elsewhere.join("target");
    // Two builds at once would disturb each other here.
    add_target(processor)?;
    let (here, there) = thread::scope(|scope| {
        let there = scope.spawn(|| build(&tree, &target, name, processor));
        (pack(name, processor), there.join())
    });
    let here = fs::read(here?).map_err(|error| error.to_string())?;
    let there = crate::package::zip(&there.map_err(|_| "a thread panicked")??)?;
    if here != there {
        return Err(format!("{name} for {} differs between two folders", processor.name));
    }
    remove(&elsewhere)
}
