//! What is said of a model before it runs: its name, its limits, and a hash that changes with
//! each rule.

use super::*;
use crate::batch::EncoderKind;
use crate::profile::encoders::Precision;
use crate::profile::recipe::Coverage;

#[test]
fn the_description_changes_with_each_rule() {
    let default = describe(&EncoderChoice::default()).expect("describes");
    assert_eq!(
        default,
        describe(&EncoderChoice::default()).expect("describes")
    );
    let head = describe(&EncoderChoice {
        coverage: Coverage::Head,
        ..EncoderChoice::default()
    });
    let head = head.expect("describes");
    let hashes = |info: &EncoderInfo| {
        let hash = |model: &Option<ModelInfo>| model.as_ref().map(|m| m.hash);
        (hash(&info.sparse), hash(&info.dense))
    };
    assert_ne!(hashes(&default).0, hashes(&head).0);
    assert_ne!(hashes(&default).1, hashes(&head).1);

    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let hash = || dir.describe_dense().expect("describes").hash;
    let plain = hash();
    assert_eq!(plain, hash());
    for toml in [
        "pooling = \"cls\"",
        "pooling = \"mean\"\nmax_len = 12",
        "pooling = \"mean\"\ndim = 2",
        "pooling = \"mean\"\nquery_prefix = \"x\"",
        "pooling = \"mean\"\npassage_prefix = \"x\"",
        "pooling = \"mean\"\nchar_cap = 100",
    ] {
        dir.write("helix-model.toml", toml);
        assert_ne!(plain, hash(), "{toml}");
    }
    dir.write("helix-model.toml", "pooling = \"mean\"");
    assert_eq!(plain, hash());
    dir.write("onnx/model.onnx.md", "nothing that the graph names");
    assert_eq!(plain, hash());
}

#[test]
fn precision_is_part_of_a_users_model_alone() {
    let described = |choice: EncoderChoice| describe(&choice).expect("describes");
    let reduced = EncoderChoice {
        precision: Precision::Fp16,
        ..EncoderChoice::default()
    };
    assert_eq!(described(reduced), described(EncoderChoice::default()));
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let infos = Precision::ALL.map(|precision| {
        described(EncoderChoice {
            precision,
            ..dir.choice(EncoderKind::Dense)
        })
    });
    let hashes = infos.each_ref().map(EncoderInfo::hashes);
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    assert_eq!(infos.each_ref().map(EncoderInfo::precision), Precision::ALL);
    let json = serde_json::to_string(&infos[0]).expect("writes");
    assert!(!json.contains("precision"), "as before for 32 bits: {json}");
}

#[test]
fn a_table_of_positions_limits_a_window() {
    let mut long = onnx::proto(Output::Hidden);
    let table =
        crate::encode::onnx::Tensor::floats("x.position_embeddings.weight", &[12, 3], &[0.0; 36]);
    long.graph.tensors.push(table);
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    dir.write_graph(&long);
    let source = ModelSource::Directory(dir.path().to_owned());
    let model = source::resolve(EncoderKind::Dense, &source).expect("reads");
    assert_eq!(model.map(|m| (m.max_len, m.n_tokens)), Some((12, Some(8))));
}

#[cfg(unix)]
#[test]
fn weights_that_are_no_regular_file_are_refused_without_waiting() {
    for (odd, what) in [
        ("fifo", "a FIFO"),
        ("zero", "a device"),
        ("folder", "a folder"),
    ] {
        let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
        let (graph, _) = onnx::with_external_table();
        fs::write(dir.path().join("onnx/model.onnx"), &graph).expect("writes");
        let weights = dir.path().join("onnx/w.bin");
        match odd {
            "fifo" => {
                let made = std::process::Command::new("mkfifo").arg(&weights).status();
                assert!(made.expect("runs").success());
            }
            "zero" => std::os::unix::fs::symlink("/dev/zero", &weights).expect("linked"),
            _ => fs::create_dir(&weights).expect("made"),
        }
        let error = dir.describe_dense().expect_err(odd).to_string();
        assert!(error.contains("w.bin") && error.contains(what), "{error}");
    }
}

#[test]
fn weights_in_a_file_of_their_own_are_found_hashed_and_missed() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let (graph, data) = onnx::with_external_table();
    fs::write(dir.path().join("onnx/model.onnx"), &graph).expect("writes");
    fs::write(dir.path().join("onnx/w.bin"), &data).expect("writes");
    let inline = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let vector = |dir: &Directory| {
        let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
        encode(&mut encoders, "red green").dense
    };
    assert_eq!(vector(&dir), vector(&inline));
    let first = dir.describe_dense().expect("describes").hash;
    let mut other = data.clone();
    other[16] ^= 1;
    fs::write(dir.path().join("onnx/w.bin"), &other).expect("writes");
    assert_ne!(dir.describe_dense().expect("describes").hash, first);
    fs::write(dir.path().join("onnx/w.bin"), &data[1..]).expect("writes");
    let said = dir.describe_dense().expect_err("is refused").to_string();
    assert!(
        said.contains("w.bin") && said.contains("takes 100"),
        "{said}"
    );
    fs::remove_file(dir.path().join("onnx/w.bin")).expect("removes");
    let said = dir.describe_dense().expect_err("is refused").to_string();
    assert!(
        said.contains("w.bin") && said.contains("fetch both"),
        "{said}"
    );
}

#[test]
fn a_directory_of_graphs_is_read_with_what_lies_above_it() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let source = ModelSource::Directory(dir.path().join("onnx"));
    let model = source::resolve(EncoderKind::Dense, &source).expect("reads");
    let name = dir.path().file_name().expect("named").display().to_string();
    assert_eq!(model.map(|m| m.name), Some(name));
}
