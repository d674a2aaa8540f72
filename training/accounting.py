"""What a private training may tell of one user, and the noise that keeps it at that.

Each step is a Gaussian mechanism over a Poisson sample of the users. How the steps add up is computed numerically from
the distribution of the privacy loss (Gopi, Lee and Wutschitz 2021) by Opacus's accountant, as an upper bound.
"""

from dataclasses import asdict, dataclass
from math import inf, isinf

from training.parts import Privacy


@dataclass(frozen=True)
class Guarantee:
    """(epsilon, delta)-differential privacy of one training, where neighbours differ by one user with all they did.

    Args:
        noise_multiplier: standard deviation of the noise on a step's summed gradient, over ``clip``.
        sample_rate: probability with which a user takes part in a step, each by themselves.
        users: how many there are; taken as known to all, for the rate follows from it.
    """

    epsilon: float
    delta: float
    clip: float
    noise_multiplier: float
    sample_rate: float
    steps: int
    users: int

    @classmethod
    def of(cls, plan: Privacy, expected: int, users: int, steps: int) -> "Guarantee":
        """Of a plan, of whose users ``expected`` take part in a step.

        Raises:
            ValueError: if delta isn't below one in so many users: a mechanism that gives one of them away has it.
        """
        if isinf(plan.epsilon):
            return cls(inf, plan.delta, plan.clip, 0.0, min(1.0, expected / users), steps, users)
        if plan.delta * users >= 1:
            raise ValueError(f"private: delta is {plan.delta:g} with {users:,} users; it must be well below 1 / users")
        from opacus.accountants.utils import get_noise_multiplier  # opacus takes seconds that others needn't wait

        rate = min(1.0, expected / users)
        noise = get_noise_multiplier(
            target_epsilon=plan.epsilon, target_delta=plan.delta, sample_rate=rate, steps=steps, accountant="prv"
        )
        return cls(spent(noise, rate, steps, plan.delta), plan.delta, plan.clip, noise, rate, steps, users)

    def after(self, steps: int) -> float:
        """Epsilon of the first ``steps`` steps."""
        return spent(self.noise_multiplier, self.sample_rate, steps, self.delta)

    def told(self) -> dict:
        """The fields, for a manifest."""
        return asdict(self)


def spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Epsilon of so many steps; infinite without noise."""
    if not noise_multiplier:
        return inf
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta))


def statement(told: dict) -> str:
    """What a model card says of a guarantee's fields."""
    if isinf(told["epsilon"]):
        return "It was trained without noise: nothing hides what it learned of anybody."
    return f"""\
Its weights are (ε, δ)-differentially private for each user with all that they did: ε = {told["epsilon"]:.2f}, \
δ = {told["delta"]:g}, where
neighbouring data have one user more or less. {told["steps"]:,} steps; each took every one of {told["users"]:,} users \
by themselves with
probability {told["sample_rate"]:.4f}, clipped each one's gradient to length {told["clip"]:g} and added Gaussian noise \
of {told["noise_multiplier"]:.3f} times that to the sum.

- Taken as known to all: the catalogue with its texts and categories, how many users there are, the recipe.
- Not covered: the curve of the loss, the judge's figures and all else in MLflow and on this card, what the recipe was
  chosen by, and lists, which are made of each user's own history.
- Another training on the same users is another guarantee: k such trainings together have at most k times ε and δ."""
