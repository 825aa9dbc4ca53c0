//! The volumes of a template: `volume_mounts` as short texts, `volumes` spelled out.

use std::collections::BTreeSet;

use super::fields::Fields;
use crate::{AccessMode, Mount, Volume};

const A_VOLUME_NAME: &str = "1 to 40 characters `a-z 0-9 -`, a letter or digit first and last";

/// Reads both fields: named volumes, and paths of the host.
pub(super) fn volumes(fields: &mut Fields) -> (Vec<Volume>, Vec<Mount>) {
    let mut volumes: Vec<Volume> = fields.take("volumes").unwrap_or_default();
    let mut mounts = Vec::new();
    let mut pointers: Vec<String> = (0..volumes.len()).map(|index| format!("/volumes/{index}")).collect();
    let short: Vec<String> = fields.take("volume_mounts").unwrap_or_default();
    for (index, text) in short.iter().enumerate() {
        let pointer = format!("/volume_mounts/{index}");
        match parse(text) {
            Some(Parsed::Volume(volume)) => {
                volumes.push(volume);
                pointers.push(pointer);
            }
            Some(Parsed::Mount(mount)) => mounts.push((pointer, mount)),
            None => fields.wrong(
                pointer,
                format!("is `{text}`"),
                "`/host/path:/container/path`, `name:/container/path`, with `:ro` to forbid writing",
            ),
        }
    }
    let mut names = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for (volume, pointer) in volumes.iter().zip(&pointers) {
        if !is_volume_name(&volume.name) {
            fields.wrong(format!("{pointer}/name"), format!("is `{}`", volume.name), A_VOLUME_NAME);
        } else if !names.insert(volume.name.clone()) {
            fields.wrong(
                format!("{pointer}/name"),
                format!("is `{}` again", volume.name),
                "a name of its own",
            );
        }
        check_path(&volume.path, pointer, &mut paths, fields);
    }
    for (pointer, mount) in &mounts {
        check_path(&mount.path, pointer, &mut paths, fields);
    }
    (volumes, mounts.into_iter().map(|(_, mount)| mount).collect())
}

enum Parsed {
    Volume(Volume),
    Mount(Mount),
}

fn parse(text: &str) -> Option<Parsed> {
    let (text, read_only) = match text.strip_suffix(":ro") {
        Some(text) => (text, true),
        None => (text.strip_suffix(":rw").unwrap_or(text), false),
    };
    let Some((source, path)) = text.rsplit_once(':') else {
        // A path alone is a volume that is named after it.
        let name = text.trim_matches('/').replace('/', "-").to_ascii_lowercase();
        return (!name.is_empty()).then(|| named(name, text));
    };
    match is_host_path(source) {
        true => Some(Parsed::Mount(Mount { host_path: source.to_owned(), path: path.to_owned(), read_only })),
        // A named volume that nobody can write to would stay empty.
        false if read_only => None,
        false => is_volume_name(source).then(|| named(source.to_owned(), path)),
    }
}

fn named(name: String, path: &str) -> Parsed {
    let path = path.to_owned();
    Parsed::Volume(Volume { name, path, size: None, access_mode: AccessMode::default(), storage_class: None })
}

fn check_path(path: &str, pointer: &str, paths: &mut BTreeSet<String>, fields: &mut Fields) {
    if !path.starts_with('/') || path == "/" || path.contains(':') || path.split('/').any(|part| part == "..")
    {
        fields.wrong(
            pointer,
            format!("is mounted at `{path}`"),
            "an absolute path below `/`, without `:` or `..`",
        );
    } else if !paths.insert(path.trim_end_matches('/').to_owned()) {
        fields.wrong(pointer, format!("is mounted at `{path}`, as another is"), "a path of its own");
    }
}

/// Whether a text is an absolute path of a host, Unix or Windows.
pub(crate) fn is_host_path(text: &str) -> bool {
    let drive = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text.get(1..2) == Some(":");
    text.starts_with('/') || (drive && matches!(text.get(2..3), Some("/" | "\\")))
}

fn is_volume_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=40).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
