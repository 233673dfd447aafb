"""Small runs that together publish every event and need every subscription, by what they are about."""

from tests.core.scene import SCENES, Scene, audits
from tests.core.scenes import attempts, by_hand, decisions, stops, triggers

__all__ = ["SCENES", "Scene", "attempts", "audits", "by_hand", "decisions", "stops", "triggers"]
