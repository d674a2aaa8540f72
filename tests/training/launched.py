"""What a rank of the tests does: a stage of training, with a tiny recipe and a place to die.

Environment: STAGE, pretrain, finetune or sentiment; TINY_RECIPE, the recipe's fields as JSON; KILL_BEFORE_STEP, the
step at whose start rank 0 gets a SIGKILL; POISON_BEFORE_STEP, the step at whose start all weights turn into NaN;
EXPORT, "no" where nobody reads it: to trace the programs takes longer than a tiny model learns.
"""

import json
import os
import signal

from training import finetune, pretrain, recipes, run, sentiment


def main() -> None:
    tiny = recipes.Recipe.of(json.loads(os.environ["TINY_RECIPE"]))
    recipes.RECIPES["tiny"] = lambda: tiny
    kill, poison = (int(os.environ.get(f"{what}_BEFORE_STEP", "-1")) for what in ("KILL", "POISON"))
    one_step = run.Run._one_step

    def mortal(stage: run.Run) -> dict[str, float]:
        if stage.step == kill and stage.rank == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if stage.step == poison:
            for each in stage.engine.module.parameters():
                each.data.fill_(float("nan"))
        return one_step(stage)

    run.Run._one_step = mortal
    if os.environ.get("EXPORT") == "no":
        finetune.export = lambda *_, **__: None
    name = os.environ["STAGE"]
    run.launched(
        name, {"pretrain": pretrain.pretrain, "finetune": finetune.finetune, "sentiment": sentiment.sentiment}[name]
    )


if __name__ == "__main__":
    main()
