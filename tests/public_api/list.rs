//! Lists the public API of a crate, one item per line: kind, path below the crate, and the declaration as in the
//! source.
//!
//! The names of types are those of the source, without the paths by which the source imports them.
//!
//! Does not: list attributes, values, implementations for all types (`impl<T> Into<T>`), or the output of derive macros
//! except for the derived trait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::slice::from_ref;

use syn::visit::{self, Visit};
use syn::{Fields, FnArg, ImplItem, Item, ItemImpl, Pat, Signature, TraitItem, Type};

use crate::text::text;
use crate::tree::{Entity, Module, Tree, is_public, is_shipped, named};

pub(crate) struct Listed {
    /// The API, sorted.
    pub(crate) lines: Vec<String>,
    /// The lines that mention types of the crate without a public path: a caller can get a value of such a type, but
    /// cannot name the type.
    pub(crate) nameless: Vec<String>,
}

/// Lists the API. An item with several public paths is described at the shortest one; the others are `use` lines.
pub(crate) fn list(tree: &Tree) -> Listed {
    let mut listing = Listing {
        tree,
        paths: BTreeMap::new(),
        lines: BTreeSet::new(),
        traits: BTreeMap::new(),
        nameless: BTreeSet::new(),
    };
    listing.find_paths();
    for (entity, path) in listing.paths.clone() {
        match entity {
            Entity::Module(_) if path.is_empty() => {}
            Entity::Module(_) => listing.add(&path, "mod", &path),
            Entity::Item(module, number) => {
                listing.add_item(&module, &path, &tree.modules[&module].items[number]);
            }
            Entity::External(_) => {}
        }
    }
    for (path, module) in &tree.modules {
        for item in &module.items {
            if let Item::Impl(item) = item {
                listing.add_impl(path, item);
            }
        }
    }
    for (path, traits) in listing.traits {
        let traits = Vec::from_iter(traits).join(", ");
        listing.lines.insert((path.clone(), 1, format!("impl {traits} for {path}")));
    }
    let lines = listing.lines.into_iter().map(|(_, _, line)| line).collect();
    Listed { lines, nameless: listing.nameless.into_iter().collect() }
}

struct Listing<'a> {
    tree: &'a Tree,
    /// The public path of each item that has one.
    paths: BTreeMap<Entity, String>,
    /// The lines, each after its sort key: the path, and the rank among lines of this path.
    lines: BTreeSet<(String, u8, String)>,
    /// The traits that each type implements.
    traits: BTreeMap<String, BTreeSet<String>>,
    nameless: BTreeSet<String>,
}

/// The paths of types and traits in a type or signature.
#[derive(Default)]
struct Named(Vec<syn::Path>);

impl Visit<'_> for Named {
    fn visit_path(&mut self, path: &syn::Path) {
        self.0.push(path.clone());
        visit::visit_path(self, path);
    }
}

impl Listing<'_> {
    fn add(&mut self, path: &str, kind: &str, declaration: &str) {
        self.lines.insert((path.to_owned(), 0, format!("{kind} {declaration}")));
    }

    fn add_trait_of(&mut self, path: &str, name: String) {
        self.traits.entry(path.to_owned()).or_default().insert(name);
    }

    /// Records the types in the declaration at `path` that have no public path.
    fn note(&mut self, module: &[String], path: &str, named: &Named) {
        for ty in &named.0 {
            if let Some((Entity::Item(within, _), None)) = self.public_path(module, ty) {
                let line = format!("{path}: {} of {}", last(ty), within.join("::"));
                self.nameless.insert(line);
            }
        }
    }

    fn add_typed(&mut self, module: &[String], path: &str, kind: &str, ty: &Type) {
        let mut named = Named::default();
        named.visit_type(ty);
        self.note(module, path, &named);
        self.add(path, kind, &format!("{path}: {}", text(ty)));
    }

    /// Finds the public paths, breadth first from the root of the crate, so that an item gets its shortest path.
    fn find_paths(&mut self) {
        let tree = self.tree;
        self.paths.insert(Entity::Module(Vec::new()), String::new());
        let mut modules = VecDeque::from([(Vec::new(), String::new())]);
        while let Some((module, path)) = modules.pop_front() {
            for (name, entity) in public_names(tree, &module, &tree.modules[&module]) {
                let path = below(&path, &name);
                if let Some(first) = self.paths.get(&entity).cloned() {
                    self.add(&path, "use", &format!("{path} = {first}"));
                    continue;
                }
                match &entity {
                    Entity::Module(inner) => modules.push_back((inner.clone(), path.clone())),
                    Entity::External(origin) => {
                        self.add(&path, "use", &format!("{path} = {origin}"))
                    }
                    Entity::Item(..) => {}
                }
                self.paths.insert(entity, path);
            }
        }
    }

    fn add_item(&mut self, module: &[String], path: &str, item: &Item) {
        match item {
            Item::Const(item) => self.add_typed(module, path, "const", &item.ty),
            Item::Static(item) => self.add_typed(module, path, "static", &item.ty),
            Item::Fn(item) => self.add_function(module, path, &item.sig, ""),
            Item::Type(item) => {
                let ty = text(&item.ty);
                self.add(path, "type", &format!("{path}{} = {ty}", text(&item.generics)));
            }
            Item::Struct(item) => {
                let hidden = item.fields.iter().any(|field| !is_public(&field.vis));
                let rest = if hidden { " { .. }" } else { "" };
                self.add(path, "struct", &format!("{path}{}{rest}", text(&item.generics)));
                for (number, field) in item.fields.iter().enumerate() {
                    if is_public(&field.vis) {
                        let name = field.ident.as_ref().map(ToString::to_string);
                        let name = below(path, &name.unwrap_or_else(|| number.to_string()));
                        self.add_typed(module, &name, "field", &field.ty);
                    }
                }
                self.add_derived(path, &item.attrs);
            }
            Item::Enum(item) => {
                self.add(path, "enum", &format!("{path}{}", text(&item.generics)));
                for variant in &item.variants {
                    let name = below(path, &variant.ident.to_string());
                    let content = match &variant.fields {
                        Fields::Unit => String::new(),
                        Fields::Named(fields) => format!(" {{ {} }}", text(&fields.named)),
                        Fields::Unnamed(fields) => format!("({})", text(&fields.unnamed)),
                    };
                    let mut named = Named::default();
                    named.visit_fields(&variant.fields);
                    self.note(module, &name, &named);
                    self.add(&name, "variant", &format!("{name}{content}"));
                }
                self.add_derived(path, &item.attrs);
            }
            Item::Trait(item) => {
                let supertraits = match text(&item.supertraits) {
                    bounds if bounds.is_empty() => bounds,
                    bounds => format!(": {bounds}"),
                };
                let declaration = format!("{path}{}{supertraits}", text(&item.generics));
                self.add(path, "trait", &declaration);
                for item in &item.items {
                    self.add_trait_item(module, path, item);
                }
            }
            _ => panic!("{path}: an unknown kind of item; add it to the list"),
        }
    }

    fn add_trait_item(&mut self, module: &[String], path: &str, item: &TraitItem) {
        match item {
            TraitItem::Fn(item) => {
                let provided = if item.default.is_some() { " { .. }" } else { "" };
                let path = below(path, &item.sig.ident.to_string());
                self.add_function(module, &path, &item.sig, provided);
            }
            TraitItem::Type(item) => {
                let path = below(path, &item.ident.to_string());
                let bounds = text(&item.bounds);
                let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
                self.add(&path, "type", &format!("{path}{}{bounds}", text(&item.generics)));
            }
            TraitItem::Const(item) => {
                let path = below(path, &item.ident.to_string());
                self.add_typed(module, &path, "const", &item.ty);
            }
            _ => panic!("{path}: an unknown kind of item; add it to the list"),
        }
    }

    /// Adds a function. `end` is the text after the signature.
    fn add_function(&mut self, module: &[String], path: &str, signature: &Signature, end: &str) {
        let mut named = Named::default();
        named.visit_signature(signature);
        self.note(module, path, &named);
        let mut signature = signature.clone();
        for input in &mut signature.inputs {
            // `mut` before the name of an argument does not matter to callers.
            match input {
                FnArg::Receiver(receiver) => receiver.mutability = None,
                FnArg::Typed(argument) => {
                    if let Pat::Ident(name) = &mut *argument.pat {
                        name.mutability = None;
                    }
                }
            }
        }
        let (name, whole) = (signature.ident.to_string(), text(&signature));
        let (before, behind) = whole.split_once(&format!("fn {name}")).expect("its name");
        self.lines.insert((path.to_owned(), 0, format!("{before}fn {path}{behind}{end}")));
    }

    fn add_derived(&mut self, path: &str, attributes: &[syn::Attribute]) {
        for attribute in attributes.iter().filter(|a| a.path().is_ident("derive")) {
            let add = |meta: syn::meta::ParseNestedMeta<'_>| {
                let name = meta.path.segments.last().expect("a name").ident.to_string();
                self.add_trait_of(path, name);
                Ok(())
            };
            attribute.parse_nested_meta(add).expect("names of traits");
        }
    }

    /// Resolves a path of types. Returns the entity and its public path, if it has one.
    fn public_path(
        &self,
        module: &[String],
        path: &syn::Path,
    ) -> Option<(Entity, Option<&String>)> {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let found = self.tree.resolve(module, &names);
        let mut items = found.into_iter().filter(|entity| match entity {
            Entity::Item(module, number) => is_type(&self.tree.modules[module].items[*number]),
            Entity::Module(_) => false,
            Entity::External(_) => true,
        });
        let entity = items.next()?;
        let path = self.paths.get(&entity);
        Some((entity, path))
    }

    fn add_impl(&mut self, module: &[String], item: &ItemImpl) {
        let Type::Path(ty) = &*item.self_ty else { return self.add_foreign_impl(module, item) };
        let found = self.public_path(module, &ty.path);
        let Some((Entity::Item(..), path)) = found else {
            return self.add_foreign_impl(module, item);
        };
        let Some(path) = path.cloned() else { return };
        if let Some((implemented, _)) = &item.trait_ {
            // Callers cannot use a private trait.
            if !matches!(self.public_path(module, implemented), Some((Entity::Item(..), None))) {
                self.add_trait_of(&path, last(implemented));
            }
            return;
        }
        for item in &item.items {
            match item {
                ImplItem::Fn(item) if is_public(&item.vis) && is_shipped(&item.attrs) => {
                    let path = below(&path, &item.sig.ident.to_string());
                    self.add_function(module, &path, &item.sig, "");
                }
                ImplItem::Const(item) if is_public(&item.vis) && is_shipped(&item.attrs) => {
                    let path = below(&path, &item.ident.to_string());
                    self.add_typed(module, &path, "const", &item.ty);
                }
                ImplItem::Macro(_) => panic!("{path}: a macro that may add to the public API"),
                _ => {}
            }
        }
    }

    /// Adds the implementation of a public trait of the crate for a foreign type, e.g. `&T`.
    fn add_foreign_impl(&mut self, module: &[String], item: &ItemImpl) {
        let Some((implemented, _)) = &item.trait_ else { return };
        if let Some((Entity::Item(..), Some(path))) = self.public_path(module, implemented) {
            let (path, ty) = (path.clone(), text(&item.self_ty));
            self.lines.insert((path.clone(), 1, format!("impl {path} for {ty}")));
        }
    }
}

/// The public names of a module, sorted, each with its entity.
fn public_names(tree: &Tree, path: &[String], module: &Module) -> BTreeSet<(String, Entity)> {
    let mut names = BTreeSet::new();
    for (name, _) in module.modules.iter().filter(|(_, is_public)| *is_public) {
        names.insert((name.clone(), Entity::Module([path, from_ref(name)].concat())));
    }
    for (number, item) in module.items.iter().enumerate() {
        if let Some((name, visibility)) = named(item)
            && is_public(visibility)
        {
            names.insert((name, Entity::Item(path.to_vec(), number)));
        }
    }
    for import in module.imports.iter().filter(|import| import.is_public) {
        let found = tree.resolve(path, &import.path);
        assert!(
            !found.is_empty(),
            "{path:?}: `pub use` of {:?}, which does not exist",
            import.path
        );
        // Of several items of one name, `pub use` exports the public ones: the function, not a private module.
        let public = found.into_iter().filter(|entity| match entity {
            Entity::Module(module) => module.split_last().is_none_or(|(name, parent)| {
                tree.modules[parent].modules.contains(&(name.clone(), true))
            }),
            Entity::Item(module, number) => named(&tree.modules[module].items[*number])
                .is_some_and(|(_, visibility)| is_public(visibility)),
            Entity::External(_) => true,
        });
        names.extend(public.map(|entity| (import.name.clone(), entity)));
    }
    names
}

fn is_type(item: &Item) -> bool {
    matches!(item, Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_))
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}

/// The last name of a path, with its arguments.
fn last(path: &syn::Path) -> String {
    text(path.segments.last().expect("a name"))
}
