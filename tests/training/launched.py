"""What the tests hand to the deepspeed launcher: training.finetune itself, with a tiny recipe and a place to die.

Environment: TINY_RECIPE, the recipe's fields as JSON; KILL_BEFORE_STEP, the step at whose start rank 0 gets a SIGKILL;
POISON_BEFORE_STEP, the step at whose start a weight turns into NaN.
"""

import json
import os
import signal

from training import finetune, recipes

if __name__ == "__main__":
    tiny = recipes.Recipe(**json.loads(os.environ["TINY_RECIPE"]))
    recipes.RECIPES["tiny"] = lambda: tiny
    kill, poison = (int(os.environ.get(f"{what}_BEFORE_STEP", "-1")) for what in ("KILL", "POISON"))
    one_step = finetune.Run._one_step

    def mortal(run: finetune.Run) -> dict[str, float]:
        if run.step == kill and run.rank == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if run.step == poison:
            run.engine.module.recommender.users.say.bias.data.fill_(float("nan"))
        return one_step(run)

    finetune.Run._one_step = mortal
    finetune.main()
