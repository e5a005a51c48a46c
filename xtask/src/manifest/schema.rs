// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manifest's JSON schema, for editors. Its source is the declarations in
//! `file.rs`; the copy in the repository is `xtask/manifest.schema.json`.

use schemars::generate::SchemaSettings;

use super::file::ManifestFile;

/// The schema as text.
pub fn text() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<ManifestFile>();
    let value = schema.to_value();
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifest.schema.json");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, super::text()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == super::text(),
            "write it anew with `BLESS=1 cargo test -p xtask schema`"
        );
    }
}
