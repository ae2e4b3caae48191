"""What a page asks for by naming it among its parameters."""

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from ums.console import current_operator
from ums.core.context import app_context as systems
from ums.core.messages import intake

System = NamedDependency[SkipValidation[systems.AppContext]]
Intake = NamedDependency[SkipValidation[intake.Intake]]
Visitor = NamedDependency[SkipValidation[current_operator.Visitor]]
