"""Forms whose row is checked by a service before it is stored."""

from typing import Any

from django import forms

from posthaste.lib.problems import Invalid


class CheckedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of a model; `check_row` calls the check of the service that stores the row."""

    #: Fields that Django does not check: what is taken is an error of its field in the service's check, but of the whole form in Django's.
    checked_by_service: tuple[str, ...] = ()

    def check_row(self) -> None:
        """Check `instance`.

        Raises:
            Invalid: naming each wrong field.
        """
        raise NotImplementedError

    def _get_validation_exclusions(self) -> set[str]:
        return {*super()._get_validation_exclusions(), *self.checked_by_service}  # type: ignore[misc]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # fills the instance
        if self.errors:
            return
        try:
            self.check_row()
        except Invalid as problem:
            for error in problem.errors:
                field: Any = str(error["field"]).partition("[")[0]
                self.add_error(field if field in self.fields else None, str(error["message"]))
