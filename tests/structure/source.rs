//! The program's own source as a syntax tree: its modules, and which of them each one names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A module by its path below the crate; the crate's root has none.
pub(crate) type Module = Vec<String>;

/// One file of the source.
pub(crate) struct SourceFile {
    pub(crate) module: Module,
    pub(crate) tree: syn::File,
}

/// Every file below `src/`, without those of unit tests.
pub(crate) fn files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the source is readable");
        let tree = syn::parse_file(&text).expect("the source compiles");
        let module = module_of(path.strip_prefix(&root).expect("it lies there"));
        SourceFile { module, tree }
    };
    let files: Vec<_> = paths.into_iter().map(read).collect();
    let tests = test_modules(&files);
    files.into_iter().filter(|file| !tests.contains(&file.module)).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the source is readable") {
        let path = entry.expect("the source is readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn module_of(path: &Path) -> Module {
    let mut module: Module =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || module.len() == 1 && last == "lib") {
        module.pop();
    }
    module
}

/// Modules that a file of their own holds and that only tests are built with.
fn test_modules(files: &[SourceFile]) -> BTreeSet<Module> {
    let mut tests = BTreeSet::new();
    for file in files {
        for item in &file.tree.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && is_for_tests(&module.attrs)
            {
                tests.insert(child(&file.module, &module.ident.to_string()));
            }
        }
    }
    tests
}

fn child(module: &[String], name: &str) -> Module {
    let mut child = module.to_vec();
    child.push(name.to_owned());
    child
}

pub(crate) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// Which modules each module names, in code that is not for tests alone.
pub(crate) fn imports(files: &[SourceFile]) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules: BTreeSet<_> = files.iter().map(|file| file.module.clone()).collect();
    let mut all = BTreeMap::new();
    for file in files {
        let mut names = Names { module: &file.module, found: BTreeSet::new() };
        names.visit_file(&file.tree);
        let known = names.found.into_iter().map(|path| longest_known(path, &modules));
        let imported = known.filter(|module| !module.is_empty() && *module != file.module);
        all.insert(file.module.clone(), imported.collect());
    }
    all
}

fn longest_known(mut path: Module, modules: &BTreeSet<Module>) -> Module {
    while !path.is_empty() && !modules.contains(&path) {
        path.pop();
    }
    path
}

/// Collects paths that begin in this crate.
struct Names<'a> {
    module: &'a [String],
    found: BTreeSet<Module>,
}

impl Names<'_> {
    /// Takes a path from its first segment on; foreign ones and local names lead nowhere.
    fn take(&mut self, segments: &[String]) {
        let mut base = self.module.to_vec();
        let mut rest = segments;
        match rest.first().map(String::as_str) {
            Some("crate") => base.clear(),
            Some("super") => {
                while let Some(("super", after)) =
                    rest.split_first().map(|(first, after)| (first.as_str(), after))
                {
                    base.pop();
                    rest = after;
                }
                self.found.insert([&base, rest].concat());
                return;
            }
            Some("self") => {}
            _ => return,
        }
        self.found.insert([&base, &rest[1..]].concat());
    }

    fn take_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                self.take_tree(&child(before, &path.ident.to_string()), &path.tree);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.take_tree(before, tree));
            }
            syn::UseTree::Name(name) if name.ident == "self" => self.take(before),
            syn::UseTree::Name(name) => self.take(&child(before, &name.ident.to_string())),
            syn::UseTree::Rename(name) => self.take(&child(before, &name.ident.to_string())),
            syn::UseTree::Glob(_) => self.take(before),
        }
    }

    /// A macro's arguments are tokens: paths in them are put together here.
    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let ident = ident.to_string();
                    let goes_on = path.last().is_some_and(|last| last == "::");
                    if !goes_on {
                        self.take_joined(&path);
                        path.clear();
                    }
                    path.push(ident);
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' && !path.is_empty() => {
                    match path.last_mut() {
                        Some(last) if last == ":" => "::".clone_into(last),
                        _ => path.push(":".to_owned()),
                    }
                }
                TokenTree::Group(group) => {
                    self.take_joined(&path);
                    path.clear();
                    self.take_tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.take_joined(&path);
                    path.clear();
                }
            }
        }
        self.take_joined(&path);
    }

    fn take_joined(&mut self, path: &[String]) {
        let segments: Vec<_> = path.iter().filter(|part| !part.starts_with(':')).cloned().collect();
        if segments.len() > 1 {
            self.take(&segments);
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.take_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if segments.len() > 1 {
            self.take(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.take_tokens(called.tokens.clone());
    }

    /// `pub(crate)` and `pub(super)` are no imports.
    fn visit_visibility(&mut self, _visibility: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, _attribute: &'ast syn::Attribute) {}
}
