//! A proof is made by its check alone: its fields are private to the module of the check, and that
//! module has no more constructors than are counted here.

use syn::visit::{self, Visit};

use super::source::{files, is_for_tests};

/// Each proof with the module of its check, and in how many places that module makes one.
const PROOFS: [(&str, &str, usize); 5] = [
    ("VerifiedBody", "webhook::signature", 2),
    ("ReportedBody", "webhook::signature", 1),
    ("ProvenChallenge", "webhook::challenge", 1),
    ("VerifiedClient", "tls::client_auth", 1),
    ("Proof", "webhook::proof", 1),
];

/// `prove_forwarded` makes it, for a load balancer that has ended TLS.
const MADE_BELOW: [(&str, &str, usize); 1] = [("VerifiedClient", "tls::client_auth::alb", 1)];

#[test]
fn proofs_have_private_fields_and_no_second_constructor() {
    let files = files();
    for (name, module, expected) in PROOFS {
        let mut places = Vec::new();
        for file in &files {
            let here = file.module.join("::");
            let mut made = Made { name, inside: false, count: 0, has_open_field: false };
            made.visit_file(&file.tree);
            assert!(!made.has_open_field, "a field of `{name}` can be written outside its module");
            if made.count > 0 {
                places.push((here, made.count));
            }
        }
        let below = MADE_BELOW.iter().filter(|(proof, ..)| *proof == name);
        let mut allowed: Vec<_> = below.map(|(_, at, count)| ((*at).to_owned(), *count)).collect();
        allowed.push((module.to_owned(), expected));
        allowed.sort();
        places.sort();
        assert_eq!(places, allowed, "where `{name}` is made");
    }
}

/// Counts the expressions that make the type, by its name or by `Self` in its `impl` blocks.
struct Made<'a> {
    name: &'a str,
    inside: bool,
    count: usize,
    has_open_field: bool,
}

impl<'ast> Visit<'ast> for Made<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if item.ident == self.name {
            let is_open = |field: &syn::Field| !matches!(field.vis, syn::Visibility::Inherited);
            self.has_open_field |= item.fields.iter().any(is_open);
            let derives = item.attrs.iter().filter(|attribute| attribute.path().is_ident("derive"));
            for derive in derives {
                let text = quote_of(derive);
                // These make one out of nothing.
                self.has_open_field |= text.contains("Default") || text.contains("Deserialize");
            }
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_its_own = matches!(&*item.self_ty, syn::Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident == self.name));
        let before = std::mem::replace(&mut self.inside, is_its_own);
        visit::visit_item_impl(self, item);
        self.inside = before;
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        let last = made.path.segments.last().map(|last| last.ident.to_string());
        let is_it =
            last.as_deref() == Some(self.name) || self.inside && last.as_deref() == Some("Self");
        self.count += usize::from(is_it);
        visit::visit_expr_struct(self, made);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func {
            let is_it = path.path.is_ident(self.name) || self.inside && path.path.is_ident("Self");
            self.count += usize::from(is_it);
        }
        visit::visit_expr_call(self, call);
    }
}

fn quote_of(attribute: &syn::Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        syn::Meta::Path(_) | syn::Meta::NameValue(_) => String::new(),
    }
}
