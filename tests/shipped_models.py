"""The pocket models that the package ships; those of the next size are plans for a GPU."""

from limo.experiments.pocket.models import PLANS

SHIPPED = [name for name in PLANS if not name.endswith("-512")]
