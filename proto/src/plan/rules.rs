//! What goes together in a plan. The one place where it is checked: whoever configures a run and
//! whoever receives its plan make the same [`super::Plan`] of it.

use umbel_privacy::combination::check_combination;
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};

use super::{LEAST_NOISE_MULTIPLIER, PlanError, Protection, WrittenPlan};
use crate::method::{ClippingRule, LocalOptimiser, Method};

/// Numbers that are trained, at most: more than any model has, and few enough to be counted with.
const LARGEST_MODEL: u64 = 1 << 40;

fn require(ok: bool, key: &'static str, reason: &'static str) -> Result<(), PlanError> {
    if ok {
        Ok(())
    } else {
        Err(PlanError::Rule { key, reason })
    }
}

/// Checks a whole plan.
pub(super) fn check(plan: &WrittenPlan) -> Result<(), PlanError> {
    check_method(&plan.method)?;
    if let Some(protection) = &plan.protection {
        check_protection(protection, &plan.method)?;
        check_noise(protection)?;
    }
    if plan.control_variates {
        check_control_variates(plan.is_private(), &plan.method)?;
    }
    let c = &plan.classifier;
    if let Some((key, reason)) = c.options.mistake() {
        return Err(PlanError::Rule { key, reason });
    }
    require(
        (1..=LARGEST_MODEL).contains(&(c.parameters as u64)),
        "model.train",
        "must leave from 1 to 2^40 parameters to train",
    )
}

/// Checks the steps that sites take.
///
/// # Errors
/// [`PlanError`] naming the key.
pub fn check_method(method: &Method) -> Result<(), PlanError> {
    let idle = method
        .local()
        .is_some_and(|l| l.optimiser == LocalOptimiser::AdamW && l.momentum.get() > 0.0);
    require(
        !idle,
        "training.local.momentum",
        "only goes with optimiser = \"sgd\"; remove it",
    )
}

/// Checks whether sites can correct their steps by control variates.
///
/// # Errors
/// [`PlanError`] naming the key.
pub fn check_control_variates(is_private: bool, method: &Method) -> Result<(), PlanError> {
    // A client's variate is its own mean gradient, unclipped, and stays in its later steps. What it
    // adds to the server's is as private as its update, and no noise is accounted for that.
    require(
        !is_private,
        "server.optimiser",
        "`scaffold` only goes with the unit `none`: a client's control variate is made of its own \
         rows, isn't clipped, and would move every later round; use `sgd`, and \
         training.local.proximal (FedProx) where sites' data differ",
    )?;
    let Some(local) = method.local() else {
        return Err(PlanError::Rule {
            key: "server.optimiser",
            reason: "`scaffold` corrects local steps, and `gradients` has none; set \
                     training.method = \"deltas\", or use `sgd`",
        });
    };
    require(
        local.optimiser == LocalOptimiser::Sgd && local.momentum.get() == 0.0,
        "training.local.optimiser",
        "must be `sgd` without momentum with server.optimiser = \"scaffold\": a control variate is \
         read off how far plain steps went",
    )?;
    require(
        local.proximal.is_none(),
        "training.local.proximal",
        "doesn't go with server.optimiser = \"scaffold\", which corrects the same drift; remove one \
         of them",
    )
}

/// Checks what is promised against what sites send. The amount of noise isn't looked at: it may
/// be calibrated yet.
///
/// # Errors
/// [`PlanError`] naming the key.
pub fn check_protection(p: &Protection, method: &Method) -> Result<(), PlanError> {
    check_combination(p.unit, method.summed(), p.placement)?;
    let by_unit = matches!(p.unit, PrivacyUnit::Record | PrivacyUnit::Group);
    require(
        p.clipping == ClippingRule::Flat || by_unit,
        "privacy.clipping",
        "`automatic` and `residual` only go with the units `record` and `group`, whose gradients \
         are clipped one by one; use `flat`",
    )?;
    let adapts = p.adaptive_clipping.is_some();
    require(
        !adapts || p.placement == NoisePlacement::Central,
        "privacy.adaptive_clipping",
        "only goes with noise = \"central\": each site's own noise would drown its share of \
         unclipped units; remove the section",
    )?;
    require(
        !adapts || p.clipping == ClippingRule::Flat,
        "privacy.adaptive_clipping",
        "only goes with clipping = \"flat\": the other rules leave no unit unclipped; remove one \
         of them",
    )?;
    require(
        p.rows_per_group.is_none() || p.unit == PrivacyUnit::Group,
        "privacy.rows_per_group",
        "only goes with the unit `group`",
    )?;
    let norm = p.clipping_norm.get();
    within(
        (1e-6..=1e6).contains(&norm),
        "privacy.clipping_norm",
        norm,
        "from 1e-6 to 1e6",
    )
}

/// Checks the amount of noise.
///
/// # Errors
/// [`PlanError`] naming the key.
pub fn check_noise(p: &Protection) -> Result<(), PlanError> {
    let sigma = p.noise_multiplier.get();
    within(
        (0.01..=1e4).contains(&sigma),
        "privacy.noise_multiplier",
        sigma,
        "from 0.01 to 10,000",
    )?;
    if sigma < LEAST_NOISE_MULTIPLIER && !p.allow_weak_noise {
        return Err(PlanError::WeakNoise { found: sigma });
    }
    Ok(())
}

fn within(
    ok: bool,
    key: &'static str,
    found: f64,
    expected: &'static str,
) -> Result<(), PlanError> {
    if ok {
        Ok(())
    } else {
        Err(PlanError::Range {
            key,
            found,
            expected,
        })
    }
}
