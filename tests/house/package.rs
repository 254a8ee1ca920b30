//! The modules of one package, and which file uses which other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::outline::{Body, Import, Outline, Path as Segments, outline};

/// Which file uses which other, and by what names.
pub(crate) type Arrows = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// The root of a crate of the package: the crate's name and its first file.
pub(crate) struct Root {
    pub(crate) crate_name: String,
    pub(crate) file: PathBuf,
    /// Whether the package's other crates can name it.
    pub(crate) is_library: bool,
}

/// Gives the text of a file, if there is such a file.
pub(crate) type Files<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// The modules of a package's library, programs and tests.
pub(crate) struct Package {
    modules: Vec<Module>,
    library: Option<(String, usize)>,
}

struct Module {
    file: PathBuf,
    root: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    imports: Vec<Import>,
    paths: BTreeSet<Segments>,
}

/// The target of a path.
enum Found {
    Module(usize),
    /// An item of a module, by its name there.
    Item(usize, String),
}

/// Longer than any chain of imports. It stops at a name that is imported from itself.
const MOST_HOPS: usize = 16;

impl Package {
    /// Reads the package from its roots, module by module.
    pub(crate) fn read(roots: &[Root], files: Files<'_>) -> Package {
        let mut package = Package { modules: Vec::new(), library: None };
        for root in roots {
            let folder = root.file.parent().unwrap_or(Path::new("")).to_owned();
            let text = files(&root.file).unwrap_or_else(|| panic!("{}: no such file", root.file.display()));
            let first = package.add(None, &root.file, &folder, outline(&text), files);
            if root.is_library {
                package.library = Some((root.crate_name.clone(), first));
            }
        }
        package
    }

    /// Adds a module and those below it. `folder` is where its children's files are.
    fn add(
        &mut self,
        parent: Option<usize>,
        file: &Path,
        folder: &Path,
        outline: Outline,
        files: Files<'_>,
    ) -> usize {
        let here = self.modules.len();
        let root = parent.map_or(here, |parent| self.modules[parent].root);
        let Outline { items, imports, modules, paths } = outline;
        let file = file.to_owned();
        self.modules.push(Module { file, root, parent, children: BTreeMap::new(), items, imports, paths });
        for (name, body) in modules {
            let child = self.add_child(here, folder, &name, body, files);
            self.modules[here].children.insert(name, child);
        }
        here
    }

    fn add_child(&mut self, parent: usize, folder: &Path, name: &str, body: Body, files: Files<'_>) -> usize {
        let file = self.modules[parent].file.clone();
        match body {
            Body::Here(outline) => self.add(Some(parent), &file, &folder.join(name), outline, files),
            Body::File(path) => {
                let beside = |path: String| file.parent().unwrap_or(Path::new("")).join(path);
                let (file, below, text) = match path.map(beside) {
                    Some(path) => {
                        found(path.clone(), path.parent().unwrap_or(Path::new("")).to_owned(), files)
                    }
                    None => found(folder.join(format!("{name}.rs")), folder.join(name), files)
                        .or_else(|| found(folder.join(name).join("mod.rs"), folder.join(name), files)),
                }
                .unwrap_or_else(|| panic!("{}: mod {name} has no file", file.display()));
                self.add(Some(parent), &file, &below, outline(&text), files)
            }
        }
    }

    /// The files that were read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.modules.iter().map(|module| module.file.as_path())
    }

    /// Which file uses which other. A declaration or a bare re-export does not count.
    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (here, module) in self.modules.iter().enumerate() {
            let private = module.imports.iter().filter(|import| !import.exported).map(|import| &import.path);
            for path in private.chain(&module.paths) {
                let Some(Found::Item(there, name)) = self.resolve(here, path, MOST_HOPS) else { continue };
                let (from, to) = (&module.file, &self.modules[there].file);
                if from != to {
                    arrows.entry((from.clone(), to.clone())).or_default().insert(name);
                }
            }
        }
        arrows
    }

    /// Follows a path from a module to the item or module that it names.
    fn resolve(&self, from: usize, path: &[String], hops: usize) -> Option<Found> {
        let (first, mut rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found::Module(self.modules[from].root),
            "self" => Found::Module(from),
            "super" => Found::Module(self.modules[from].parent?),
            name => self.look_up(from, name, rest.is_empty(), hops).or_else(|| self.library_called(name))?,
        };
        while let (Found::Module(module), Some((next, after))) = (&found, rest.split_first()) {
            found = match next.as_str() {
                "super" => Found::Module(self.modules[*module].parent?),
                name => self.look_up(*module, name, after.is_empty(), hops)?,
            };
            rest = after;
        }
        Some(found)
    }

    fn library_called(&self, name: &str) -> Option<Found> {
        self.library.as_ref().filter(|(library, _)| library == name).map(|(_, root)| Found::Module(*root))
    }

    /// The meaning of a name in a module. At the end of a path, an item comes before a module of the same name.
    fn look_up(&self, module: usize, name: &str, is_last: bool, hops: usize) -> Option<Found> {
        let hops = hops.checked_sub(1)?;
        let here = &self.modules[module];
        let item = here.items.contains(name).then(|| Found::Item(module, name.to_owned()));
        let child = here.children.get(name).map(|child| Found::Module(*child));
        let own = if is_last { item.or(child) } else { child.or(item) };
        own.or_else(|| {
            let mut imports = here.imports.iter().filter(|import| import.name == name);
            imports.find_map(|import| self.resolve(module, &import.path, hops))
        })
        .or_else(|| {
            let mut whole = here.imports.iter().filter(|import| import.name == "*");
            whole.find_map(|import| match self.resolve(module, &import.path, hops)? {
                Found::Module(other) => self.look_up(other, name, is_last, hops),
                Found::Item(..) => None,
            })
        })
    }
}

/// A file, the folder of its modules, and its text, if the file exists.
fn found(file: PathBuf, below: PathBuf, files: Files<'_>) -> Option<(PathBuf, PathBuf, String)> {
    files(&file).map(|text| (file, below, text))
}
