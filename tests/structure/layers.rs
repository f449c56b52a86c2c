//! Imports go down the layers only, and no modules import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::source::{Module, files, imports};

/// Module above the layers' drawing in `src/lib.rs`, and the first line after it.
const DRAWING: (&str, &str) = ("//! ```layers", "//! ```");

#[test]
fn a_module_imports_its_own_layer_or_one_below() {
    let layer = layers();
    let mut upward = Vec::new();
    for (module, imported) in imports(&files()) {
        let Some(from) = module.first() else { continue };
        for target in imported {
            let to = &target[0];
            if from != to && layer_of(&layer, from) < layer_of(&layer, to) {
                upward.push(format!("{} imports {}", module.join("::"), target.join("::")));
            }
        }
    }
    assert!(upward.is_empty(), "imports that go up the layers:\n{}", upward.join("\n"));
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let imports = imports(&files());
    let mut circles = Vec::new();
    let parents: BTreeSet<Module> = imports
        .keys()
        .flat_map(|module| (0..module.len()).map(|end| module[..end].to_vec()))
        .collect();
    for parent in parents {
        // Siblings, each with all that lies below it.
        let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (module, imported) in &imports {
            let Some(from) = below(&parent, module) else { continue };
            let targets = imported.iter().filter_map(|target| below(&parent, target));
            graph.entry(from).or_default().extend(targets.filter(|to| *to != from));
        }
        if let Some(circle) = circle(&graph) {
            circles.push(format!("in `{}`: {}", parent.join("::"), circle.join(" -> ")));
        }
    }
    assert!(circles.is_empty(), "modules that import each other:\n{}", circles.join("\n"));
}

/// The child of `parent` that is `module`, or that it lies in.
fn below<'a>(parent: &[String], module: &'a [String]) -> Option<&'a str> {
    module.strip_prefix(parent)?.first().map(String::as_str)
}

/// From the drawing: each module of the top with the number of its layer, the lowest 0.
fn layers() -> BTreeMap<String, usize> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let map = fs::read_to_string(path).unwrap();
    let lines = map.lines().skip_while(|line| *line != DRAWING.0).skip(1);
    let lines: Vec<_> = lines.take_while(|line| *line != DRAWING.1).collect();
    assert!(lines.len() > 4, "the drawing of the layers is in src/lib.rs");
    let mut layers = BTreeMap::new();
    for (number, line) in lines.iter().rev().enumerate() {
        for name in line.trim_start_matches("//!").split(',') {
            assert!(layers.insert(name.trim().to_owned(), number).is_none(), "{name} twice");
        }
    }
    layers
}

fn layer_of(layers: &BTreeMap<String, usize>, module: &str) -> usize {
    *layers.get(module).unwrap_or_else(|| panic!("`{module}` is missing in the drawing"))
}

/// One circle, if there is any.
fn circle<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut done = BTreeSet::new();
    let mut way = Vec::new();
    graph.keys().find_map(|start| descend(start, graph, &mut way, &mut done))
}

fn descend<'a>(
    module: &'a str,
    graph: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = way.iter().position(|passed| *passed == module) {
        let mut circle = way[start..].to_vec();
        circle.push(module);
        return Some(circle);
    }
    if !done.insert(module) {
        return None;
    }
    way.push(module);
    let found =
        graph.get(module).and_then(|to| to.iter().find_map(|to| descend(to, graph, way, done)));
    way.pop();
    found
}
