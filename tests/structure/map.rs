//! The map in `src/lib.rs` names only what is there.

use std::path::Path;

#[test]
fn every_file_that_the_map_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let doc = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let words: Vec<_> = doc.flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    let paths = words.iter().filter(|word| word.ends_with(".rs") || word.ends_with('/'));
    let paths: Vec<_> = paths.filter(|word| !word.contains(' ')).collect();
    let absent: Vec<_> = paths
        .iter()
        .filter(|path| !root.join("src").join(path).exists() && !root.join(path).exists())
        .collect();
    assert!(paths.len() > 30, "the map names files");
    assert!(absent.is_empty(), "the map in src/lib.rs names what is not there: {absent:?}");
}
