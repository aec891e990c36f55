//! What must not compile: the private path with a step left out.
//!
//! Each refusal stands after the code that is right, which differs in nothing else.
//!
//! An update that wasn't clipped has no way to the lattice:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0599
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.quantize(step)?;
//! # Ok(())
//! # }
//! ```
//!
//! What isn't on the lattice can't be noised:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0308
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! Without a token of the ledger there is no noise, hence no release:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let released = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0061
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = release(vector, noise, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! A draft isn't a token; only what the ledger has stored is:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let released = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0308
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = release(vector, noise, draft, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! A token pays once:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector.clone(), noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0382
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector.clone(), noise, spent, rng)?;
//! let second = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! It can't be copied:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector, noise, spent, rng)?;
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0599
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let first = release(vector, noise, spent.clone(), rng)?;
//! # Ok(())
//! # }
//! ```
//!
//! Nobody but the ledger makes one:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let spent: Spent = ledger.spend(draft)?;
//! let entry = spent.entry().clone();
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0624
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let spent: Spent = ledger.spend(draft)?;
//! let entry = spent.entry().clone();
//! let another = Spent::recorded(entry);
//! # Ok(())
//! # }
//! ```
//!
//! What is noised but not stored can't be looked at:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! let released = noised.store(|_| std::fs::write("sum", ""))?;
//! println!("{:?}", released.sum());
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0599
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let spent = ledger.spend(draft)?;
//! let noised = add_noise(vector, noise, spent, rng)?;
//! println!("{:?}", noised.sum());
//! # Ok(())
//! # }
//! ```
//!
//! Neither a noised nor a released sum can be made of a bare one, unless it says that nobody is
//! protected:
//!
//! ```no_run
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = Noised::unnoised(vector, NoPrivacy).release();
//! # Ok(())
//! # }
//! ```
//! ```compile_fail,E0451
//! # use umbel_privacy::*;
//! # fn publish(
//! #     raw: RawUpdate, c: ClippingNorm, step: LatticeStep, noise: &RoundedGaussian,
//! #     mut ledger: Ledger<ledger::MemoryLedgerStorage>, draft: EntryDraft,
//! #     rng: &mut NoiseSource,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let vector = raw.clip(c)?.quantize(step)?;
//! let released = Released { value: vector, event: None };
//! # Ok(())
//! # }
//! ```
