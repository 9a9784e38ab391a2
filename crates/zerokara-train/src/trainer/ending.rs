//! How a run ends, and what it leaves.

use super::{
    Run, page,
    session::{End, Session, Status, counted},
};
use crate::{
    error::{Error, NotFinite, Result},
    evaluation::Evaluation,
    report::Filters,
};

impl Session<'_> {
    /// Leaves in the folder what the run has, as much as can be written: the model, the report, how it ended. The first
    /// error is given.
    fn leave(&mut self, before: Option<Filters>, test: &Evaluation, status: Status) -> Result<()> {
        let flushed = self.flush();
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let saved = self.save().and(flushed.map_err(Error::from));
        let status = match (&saved, status) {
            (_, Status::Failed(why)) => Status::Failed(why),
            (Err(error), _) => Status::Failed(error.to_string()),
            (Ok(()), status) => status,
        };
        let seconds = self.seconds();
        let page = page::write(self, folder, before, test, seconds, &status);
        let told = page::write_settings(self, folder, &status);
        saved.and(page).and(told)
    }

    /// Puts the parameters of the best epoch back, if one was kept; whether there was.
    fn restore_best(&mut self) -> Result<bool> {
        match self.best.take() {
            None => Ok(false),
            Some(best) => {
                self.trainer.model.load_state(&best.state)?;
                Ok(true)
            }
        }
    }

    /// Ends the run by this error, which is given with what is to be said of it; the folder keeps what there is: the
    /// parameters of the best epoch, if one was kept, else those of the last good step.
    pub fn fail(mut self, before: Option<Filters>, error: Error) -> Error {
        self.progress.interrupt();
        let mut left = self.restore_best().map(|_| ());
        let error = match (error.not_finite().cloned(), &self.folder) {
            (Some(step), Some(folder)) => NotFinite {
                saved: self.save().is_ok().then(|| folder.model()),
                ..step
            }
            .into(),
            _ => error,
        };
        let told = error.to_string();
        let why = told.lines().next().unwrap_or_default().to_string();
        // What cannot be judged is left without a judgement.
        let judged = self.evaluator.run(&self.data.test, &mut || true);
        let test = judged.ok().flatten().unwrap_or_default();
        left = left.and(self.leave(before, &test, Status::Failed(why)));
        if let Some(folder) = &self.folder {
            let (at, words) = (folder.path().display(), self.trainer.words());
            let steps = words.say(&counted(self.steps as usize, "steps"));
            match left {
                Ok(()) if error.not_finite().is_some() => {}
                Ok(()) => self.progress.message(&words.fill(
                    "the run ended early, after {}; what it had is in {}",
                    &[&steps, &at],
                )),
                Err(failed) => self.progress.message(&words.fill(
                    "not all that the run had could be kept in {}: {}",
                    &[&at, &failed],
                )),
            }
        }
        error
    }

    /// Ends the run well. `test` is the evaluation after the last step, if there was one.
    pub fn finish(
        mut self,
        before: Option<Filters>,
        test: Option<Evaluation>,
        end: End,
    ) -> Result<Run> {
        let interrupted = matches!(end, End::Interrupted);
        if interrupted {
            self.progress.interrupt();
        }
        let restored = self.restore_best()?;
        let known = test.filter(|_| !restored && !interrupted);
        let test = match known {
            Some(test) => test,
            None => match self.evaluator.run(&self.data.test, &mut || true) {
                Ok(found) => found.unwrap_or_default(),
                Err(error) => return Err(self.fail(before, error)),
            },
        };
        let status = match end {
            End::Complete => Status::Complete,
            End::Stopped => Status::Stopped,
            End::Interrupted => Status::Interrupted,
        };
        self.leave(before, &test, status)?;
        let seconds = self.seconds();
        if interrupted && let Some(folder) = &self.folder {
            let (at, words) = (folder.path().display(), self.trainer.words());
            self.progress.message(&words.fill(
                "interrupted after step {}; the model is saved in {}",
                &[&self.steps, &at],
            ));
            match (&self.trouble, &self.checkpoints) {
                (None, Some(checkpoints)) => {
                    self.progress.message(&checkpoints.how_to_go_on(&at, words))
                }
                (Some(trouble), _) => self.progress.message(
                    &words.fill("not all could be saved to go on from here: {}", &[trouble]),
                ),
                (None, None) => {}
            }
        }
        Ok(Run {
            model: self.model,
            history: self.history,
            test,
            folder: self.folder,
            interrupted,
            seconds,
            losses: self.losses,
        })
    }
}
