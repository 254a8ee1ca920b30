//! `cargo xtask package`: builds the zips for Lambda. They are the same to the byte wherever they are built.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::command::{answers, cargo, output, run, target};
use crate::parts::Parts;
use crate::setup;
use crate::test::functions;

/// `cargo lambda`, and zig, which links against Lambda's glibc instead of this machine's.
const CARGO_LAMBDA: [&str; 2] = ["cargo-lambda==1.9.2", "ziglang==0.17.0"];

/// A processor that Lambda offers: Lambda's name, `cargo lambda`'s option, the compiler's target.
pub(crate) struct Processor {
    pub(crate) name: &'static str,
    pub(crate) option: &'static str,
    triple: &'static str,
}

pub(crate) const PROCESSORS: [Processor; 2] = [
    Processor { name: "arm64", option: "--arm64", triple: "aarch64-unknown-linux-gnu" },
    Processor { name: "x86_64", option: "--x86-64", triple: "x86_64-unknown-linux-gnu" },
];

/// No zip may be larger than this.
const LARGEST_ZIP: u64 = 4_000_000;

pub(crate) fn run_all() -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("fetch", || run(&mut cargo(&["fetch", "--locked"])));
    parts.part("cargo lambda", || cargo_lambda().map(drop));
    for processor in &PROCESSORS {
        for name in functions().unwrap_or_default() {
            parts.part(format!("{name} for {}", processor.name), || pack(&name, processor).map(drop));
        }
    }
    parts.end()
}

/// Builds a function, and writes its zip and its bill of materials. Returns the zip's path.
pub(crate) fn pack(name: &str, processor: &Processor) -> Result<PathBuf, String> {
    let top = env::current_dir().map_err(|error| error.to_string())?;
    let program = build(&top, &target(), name, processor)?;
    let folder = target().join("package");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    let base = format!("{name}-{}", processor.name);
    let zipped = folder.join(format!("{base}.zip"));
    fs::write(&zipped, zip(&program)?).map_err(failed)?;
    fs::write(folder.join(format!("{base}.cdx.json")), sbom(name, processor)?).map_err(failed)?;
    let size = fs::metadata(&zipped).map_err(failed)?.len();
    println!("{}: {} bytes, of a program of {} bytes", zipped.display(), size, program.len());
    if size > LARGEST_ZIP {
        return Err(format!("{} is larger than {LARGEST_ZIP} bytes", zipped.display()));
    }
    Ok(zipped)
}

/// Builds a function of the workspace in `top` and returns the program.
pub(crate) fn build(top: &Path, target: &Path, name: &str, processor: &Processor) -> Result<Vec<u8>, String> {
    add_target(processor)?;
    let folder = target.join("lambda").join(processor.name);
    let mut build = cargo(&["lambda", "build", "--release", "--locked", processor.option, "--package", name]);
    build.arg("--lambda-dir").arg(&folder).env("CARGO_TARGET_DIR", target).current_dir(top);
    run(as_anywhere(&mut build, top)?)?;
    let path = folder.join(name).join("bootstrap");
    let program = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    names_no_place(&program, top)?;
    Ok(program)
}

/// Adds the standard library for another processor with rustup, unless it is installed already.
pub(crate) fn add_target(processor: &Processor) -> Result<(), String> {
    let libraries =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", processor.triple]))?;
    if Path::new(libraries.trim()).exists() || answers("rustup", &["target", "add", processor.triple]) {
        return Ok(());
    }
    Err(format!("the toolchain has no standard library for {0}: rustup target add {0}", processor.triple))
}

/// Lets a build find `cargo lambda`, and keeps this machine's folders out of the result.
pub(crate) fn as_anywhere<'a>(command: &'a mut Command, top: &Path) -> Result<&'a mut Command, String> {
    let places = places(top)?;
    let map = |option: &str| {
        let options = places.iter().map(|(place, name)| format!("{option}={}={name}", place.display()));
        options.collect::<Vec<_>>().join(" ")
    };
    with_cargo_lambda(command)?.env("RUSTFLAGS", map("--remap-path-prefix"));
    // aws-lc is written in C, and its error messages name files.
    Ok(command.env("CFLAGS", map("-ffile-prefix-map")))
}

/// Lets a command find `cargo lambda`.
pub(crate) fn with_cargo_lambda(command: &mut Command) -> Result<&mut Command, String> {
    let path = env::var("PATH").unwrap_or_default();
    Ok(command.env("PATH", format!("{}:{path}", cargo_lambda()?.display())))
}

fn cargo_lambda() -> Result<PathBuf, String> {
    setup::python("cargo-lambda", &CARGO_LAMBDA)
}

/// The folders whose names could get into a program, and the names that replace them.
fn places(top: &Path) -> Result<[(PathBuf, &'static str); 3], String> {
    let home = PathBuf::from(env::var_os("HOME").ok_or("HOME is not set")?);
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok([(top.to_owned(), "/turnlock"), (cargo_home, "/cargo"), (sysroot.trim().into(), "/rust")])
}

fn names_no_place(program: &[u8], top: &Path) -> Result<(), String> {
    for (place, _) in places(top)? {
        let place = place.as_os_str().as_encoded_bytes();
        if program.windows(place.len()).any(|window| window == place) {
            return Err(format!("the program names {}", String::from_utf8_lossy(place)));
        }
    }
    Ok(())
}

/// A zip of one file, with the name that Lambda expects and a fixed date.
pub(crate) fn zip(program: &[u8]) -> Result<Vec<u8>, String> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("bootstrap", options).map_err(|error| error.to_string())?;
    writer.write_all(program).map_err(|error| error.to_string())?;
    writer.finish().map(std::io::Cursor::into_inner).map_err(|error| error.to_string())
}

/// The crates linked into a function, with their licences, as CycloneDX 1.5.
fn sbom(name: &str, processor: &Processor) -> Result<String, String> {
    let arguments =
        ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"];
    let tree = output(cargo(&arguments).args([
        "--target",
        processor.triple,
        "--package",
        name,
        "--format",
        "{p}|{l}",
    ]))?;
    let mut crates: Vec<(&str, &str, &str)> = tree.lines().filter_map(linked).collect();
    crates.sort_unstable();
    crates.dedup();
    let component = |(name, version, licence): &(&str, &str, &str)| {
        // Some crates still write "/" for "OR".
        let licence = licence.replace('/', " OR ");
        format!(
            r#"{{"type":"library","name":"{name}","version":"{version}","purl":"pkg:cargo/{name}@{version}","licenses":[{{"expression":"{licence}"}}]}}"#
        )
    };
    let components: Vec<String> = crates.iter().map(component).collect();
    let of = format!(r#"{{"type":"application","name":"{name}"}}"#);
    Ok(format!(
        "{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"version\":1,\"metadata\":{{\"component\":{of}}},\"components\":[\n{}\n]}}\n",
        components.join(",\n")
    ))
}

/// Name, version and licence from a line such as `serde v1.0.0|MIT OR Apache-2.0`.
fn linked(line: &str) -> Option<(&str, &str, &str)> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    Some((words.next()?, words.next()?.trim_start_matches('v'), licence))
}
