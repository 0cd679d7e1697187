//! A schedule as data.

use serde_json::{Value, json};

use crate::plan::schedule::{Instruction, Match, Schedule, Share, Step};

impl Schedule {
    /// Everything the plan knows: atoms, tables, and the program with its prices.
    pub fn json(&self) -> Value {
        let draft = &self.draft;
        let atoms: Vec<Value> = draft
            .atoms
            .iter()
            .map(|atom| {
                json!({
                    "modes": draft.bracket(&atom.modes),
                    "generators": atom.generators.iter().map(|g| draft.bracket(g)).collect::<Vec<_>>(),
                    "closed_form": atom.closed,
                    "parent": atom.parent.as_ref().map(|(p, _)| *p),
                    "separator": atom.parent.as_ref().map(|(_, s)| draft.bracket(s)),
                    "cliques": atom.cliques.iter().map(|c| json!({
                        "modes": draft.bracket(&c.node.scope),
                        "cells": draft.cells(&c.node.scope),
                        "views": c.views.iter().map(|v| draft.bracket(&v.scope)).collect::<Vec<_>>(),
                        "parent": c.node.parent,
                        "separator": c.node.parent.map(|_| draft.bracket(&c.node.separator)),
                    })).collect::<Vec<_>>(),
                })
            })
            .collect();
        let buffers: Vec<Value> = (0..self.buffers.len())
            .map(|k| {
                let buffer = &self.buffers[k];
                let name = self.table(crate::plan::schedule::BufferId(k));
                json!({ "table": name, "shape": buffer.shape, "bytes": buffer.bytes() })
            })
            .collect();
        json!({
            "model": self.model,
            "iterates": self.iterates(),
            "peak_bytes": self.peak,
            "lazy_bytes": self.lazy_bytes(),
            "operations_per_sweep": self.sweep_operations(),
            "bytes_per_sweep": self.sweep_bytes(),
            "operations_once": self.fixed_operations(),
            "atoms": atoms,
            "tables": buffers,
            "steps": self.steps.iter().map(|s| self.step_json(s)).collect::<Vec<_>>(),
        })
    }

    fn step_json(&self, step: &Step) -> Value {
        let names = |ids: Vec<_>| ids.into_iter().map(|id| self.table(id)).collect::<Vec<_>>();
        let mut value = json!({
            "do": step.instruction.word(),
            "reads": names(step.instruction.reads()),
            "writes": names(step.instruction.writes()),
            "pass": step.pass,
            "operations": step.operations,
            "bytes": step.bytes,
            "live_bytes": step.live,
            "frees": names(step.frees.clone()),
        });
        if let (Instruction::Loop(iteration), Some(object)) = (&step.instruction, value.as_object_mut()) {
            let inner = |steps: &[Step]| steps.iter().map(|s| self.step_json(s)).collect::<Vec<_>>();
            let matched = |m: &Match| self.table(m.statistic);
            object.insert("atom".into(), json!(iteration.atom));
            object.insert(
                "until_matched".into(),
                json!(iteration.pairs.iter().map(matched).collect::<Vec<_>>()),
            );
            let (sweep, check, inward) = match &iteration.factored {
                Some(f) => (&f.sweep, &f.check, &f.inward),
                None => (&iteration.sweep, &iteration.check, &iteration.inward),
            };
            object.insert("sweep".into(), json!(inner(sweep)));
            object.insert("check".into(), json!(inner(check)));
            object.insert("inward".into(), json!(inner(inward)));
        }
        if let (Instruction::Together(work), Some(object)) = (&step.instruction, value.as_object_mut()) {
            let part = |p: &Share| {
                json!({
                    "data": p.name,
                    "weight": p.weight,
                    "modes": self.draft.bracket(&p.modes),
                    "cells": p.cells,
                    "tables": p.tables.iter().map(|t| self.draft.bracket(t)).collect::<Vec<_>>(),
                })
            };
            object.insert("closed_form".into(), json!(work.closed));
            object.insert("contracted".into(), json!(!work.contracted.is_empty()));
            object.insert("parameters".into(), json!(work.parameters));
            object.insert("tensors".into(), json!(work.parts.iter().map(part).collect::<Vec<_>>()));
        }
        if let (Instruction::Learn(learning), Some(object)) = (&step.instruction, value.as_object_mut()) {
            object.insert("coefficients".into(), json!(learning.coefficients));
            let inner = learning.steps.iter().map(|s| self.step_json(s)).collect::<Vec<_>>();
            object.insert("each_time".into(), json!(inner));
        }
        value
    }
}
