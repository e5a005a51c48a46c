// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one source file holds, read from its syntax and not from its text.

use anyhow::{Context, Result};
use std::path::Path;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// What was found in one file.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// All lines.
    pub(super) lines: usize,
    /// Lines that are neither blank nor a comment.
    pub(super) code: usize,
    /// Lines where an unsafe block, function, trait or impl begins.
    pub(super) unsafes: Vec<usize>,
    /// Lines with a `cfg` on the machine that is built for.
    pub(super) cfgs: Vec<usize>,
    /// Name, first line and length of each function outside tests.
    pub(super) functions: Vec<Function>,
}

/// One function.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Its first line.
    pub(super) line: usize,
    /// Its lines, from its signature to its last brace.
    pub(super) length: usize,
}

impl Source {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut source = Self::of_text(&text);
        if path.extension().is_some_and(|extension| extension == "rs") {
            let file = syn::parse_file(&text).with_context(|| path.display().to_string())?;
            source.visit_file(&file);
        }
        Ok(source)
    }

    /// Counts lines.
    fn of_text(text: &str) -> Self {
        let mut source = Self::default();
        let mut within_comment = false;
        for line in text.lines().map(str::trim) {
            source.lines += 1;
            within_comment |= line.starts_with("/*");
            if !(line.is_empty() || line.starts_with("//") || within_comment) {
                source.code += 1;
            }
            within_comment &= !line.contains("*/");
        }
        source
    }

    /// Notes a function.
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line: first,
            length: last.saturating_sub(first) + 1,
        });
        if signature.unsafety.is_some() {
            self.unsafes.push(first);
        }
    }
}

/// Whether the attributes say that an item is for tests only.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !for_tests(&item.attrs) {
            self.function(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.unsafes.push(block.span().start().line);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.unsafes.push(item.span().start().line);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let path = attribute.path();
        if !(path.is_ident("cfg") || path.is_ident("cfg_attr")) {
            return;
        }
        if let syn::Meta::List(list) = &attribute.meta {
            let text = list.tokens.to_string();
            if text.contains("target_arch") || text.contains("target_os") {
                self.cfgs.push(attribute.span().start().line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
// A comment.

#[cfg(target_arch = \"aarch64\")]
fn one() {
    unsafe { two() }
}

unsafe fn two() {}

#[cfg(test)]
mod tests {
    fn long() {}
}
";

    #[test]
    fn unsafe_cfg_and_functions_are_found_outside_tests() {
        let mut source = Source::of_text(TEXT);
        source.visit_file(&syn::parse_file(TEXT).unwrap());
        assert_eq!((source.lines, source.code), (13, 9));
        assert_eq!(source.unsafes, [5, 8]);
        assert_eq!(source.cfgs, [3]);
        let lengths: Vec<usize> = source.functions.iter().map(|function| function.length).collect();
        assert_eq!(lengths, [3, 1]);
    }
}
