from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tasker_temporal import Limits, Retry, StepContext, TaskerPlugin, TaskTemplate, TemplateError, result_of
from tasker_temporal.core.template import Template
from tasker_temporal.declare.steps import STEP_OPTIONS
from tasker_temporal.errors import OptionError


class Order(BaseModel):
    id: str


class VipOrder(Order):
    level: int


@dataclass
class Cart:
    items: int


def mistakes_of(template: TaskTemplate[Any]) -> tuple[str, ...]:
    with pytest.raises(TemplateError) as caught:
        _ = template.compiled
    return caught.value.mistakes


def shop(**options: Any) -> TaskTemplate[Order]:
    return TaskTemplate("shop.order", context=Order, **options)


def with_validate(template: TaskTemplate[Any]) -> Any:
    @template.step
    async def validate(order: Order) -> Cart:
        return Cart(len(order.id))

    return validate


class TestDeclaring:
    def test_a_declared_step_is_still_the_function(self) -> None:
        validate = with_validate(shop())
        assert asyncio.run(validate(Order(id="abc"))) == Cart(3)
        assert validate.__name__ == "validate"

    def test_a_forgotten_result_is_a_type_error_and_never_a_marker(self) -> None:
        template = shop()
        validate = with_validate(template)

        @template.step
        def charge(order: Order, cart: Cart = result_of(validate)) -> int:
            return cart.items

        with pytest.raises(TypeError, match=r"charge\(\) misses the argument 'cart', the result of 'validate'"):
            charge(Order(id="x"))
        assert charge(Order(id="x"), Cart(2)) == 2
        assert charge(Order(id="x"), cart=Cart(3)) == 3

    def test_dependencies_come_from_the_signature_and_from_after(self) -> None:
        template = shop()
        validate = with_validate(template)

        @template.step
        def reserve(cart: Annotated[Cart, result_of(validate)]) -> int:
            return cart.items

        @template.step(after=[validate])
        def ship(order: Order, places: int | None = result_of(reserve), *, note: str = "none") -> None: ...

        compiled = template.compiled
        assert [step.dependencies for step in compiled.steps] == [(), ("validate",), ("validate", "reserve")]
        assert [step.required for step in compiled.steps] == [frozenset(), {"validate"}, frozenset()]
        assert [argument.name for argument in compiled.steps[2].arguments] == ["order", "places"]

    def test_any_callable_can_be_a_handler(self) -> None:
        class Mailer:
            async def __call__(self, order: Order) -> bool:
                return True

        def prefixed(order: Order, prefix: str) -> str:
            return prefix + order.id

        template = shop()
        mail = template.add_step("mail", Mailer())
        prefix = template.add_step("prefix", functools.partial(prefixed, prefix="a"))
        assert mail.is_async
        assert not prefix.is_async
        assert [(step.name, step.result) for step in template.compiled.steps] == [("mail", "bool"), ("prefix", "str")]

    def test_options_become_data(self) -> None:
        template = shop(version="2.0.0", on_failure="stop", limits=Limits(in_flight=3), task_queue="orders")

        @template.step(
            name="pay",
            retry=Retry(attempts=5),
            retryable=False,
            timeout=timedelta(seconds=30),
            deadline=timedelta(hours=1),
            task_queue="gpu",
            formerly=["charge"],
            description="takes the money",
            config={"url": "x"},
        )
        def charge(order: Order, context: StepContext) -> None: ...

        step = template.compiled.steps[0]
        assert step.name == "pay"
        assert (step.retry.attempts, step.max_attempts) == (5, 1)
        assert (step.timeout, step.deadline) == (timedelta(seconds=30), timedelta(hours=1))
        assert (step.task_queue, step.formerly, step.description) == ("gpu", ("charge",), "takes the money")
        assert step.config == {"url": "x"}
        assert [argument.name for argument in step.arguments] == ["order"]

    def test_equal_declarations_have_equal_digests_and_any_change_another(self) -> None:
        def declared(**options: Any) -> str:
            template = shop()

            @template.step(**options)
            def one(order: Order) -> None: ...

            return template.compiled.digest

        assert declared() == declared()
        variants = [
            declared(),
            declared(retryable=False),
            declared(timeout=timedelta(seconds=1)),
            declared(config={"a": 1}),
        ]
        assert len(set(variants)) == len(variants)

    def test_the_compiled_template_survives_json(self) -> None:
        template = shop(cancel_grace=timedelta(seconds=5))
        with_validate(template)
        text = template.compiled.model_dump_json(exclude_defaults=True)
        again = Template.model_validate_json(text)
        assert again == template.compiled
        assert again.digest == template.compiled.digest

    def test_a_template_without_steps_is_a_template(self) -> None:
        assert shop().compiled.steps == ()

    def test_a_step_that_is_declared_later_is_compiled_too(self) -> None:
        template = shop()
        assert len(template.compiled.steps) == 0
        with_validate(template)
        assert len(template.compiled.steps) == 1


class TestMistakes:
    def test_all_mistakes_come_in_one_message_and_name_their_steps(self) -> None:
        template = shop()

        @template.step
        def first(order) -> None: ...  # type: ignore[no-untyped-def]

        @template.step
        def second(order: Order): ...  # type: ignore[no-untyped-def]

        found = mistakes_of(template)
        assert found == (
            "step 'first': its parameter 'order' has no annotation: expected the type of what it takes",
            "step 'second': it has no return annotation: expected the type of its result, or None",
        )
        with pytest.raises(
            TemplateError, match=r"template 'shop.order' has 2 mistakes:\n  - step 'first'.*\n  - step 'second'"
        ):
            _ = template.compiled

    def test_a_wrong_result_type_is_named(self) -> None:
        template = shop()
        validate = with_validate(template)

        @template.step
        def ship(cart: int = result_of(validate)) -> None: ...

        assert mistakes_of(template) == (
            "step 'ship': its parameter 'cart' expects int, but the result of 'validate' is Cart",
        )

    def test_a_wrong_context_type_is_named(self) -> None:
        template = shop()

        @template.step
        def ship(order: VipOrder) -> None: ...

        assert mistakes_of(template) == (
            "step 'ship': its parameter 'order' expects VipOrder, but the context is Order",
        )

    def test_who_forgets_result_of_is_told_which_step_is_probably_meant(self) -> None:
        template = shop()
        with_validate(template)

        @template.step
        def ship(cart: Cart) -> None: ...

        assert mistakes_of(template) == (
            "step 'ship': its parameter 'cart' expects Cart, but the context is Order: "
            "if the result of 'validate' is meant, say so with result_of(validate)",
        )

    def test_a_call_of_a_step_is_no_default(self) -> None:
        template = shop()

        @template.step
        async def validate(order: Order) -> Cart:
            return Cart(1)

        called = validate(Order(id="7"))

        @template.step
        def ship(cart: Any = called) -> None: ...

        assert mistakes_of(template) == (
            "step 'ship': its parameter 'cart' has a call of 'validate' as its default: expected result_of(validate)",
        )

    def test_two_steps_of_one_name_are_refused(self) -> None:
        template = shop()
        with_validate(template)
        with_validate(template)
        assert mistakes_of(template) == ("step 'validate' is declared twice: expected one step of each name",)

    def test_two_parameters_cannot_both_take_the_context(self) -> None:
        template = shop()

        @template.step
        def ship(order: Order, other: Order) -> None: ...

        (mistake,) = mistakes_of(template)
        assert "parameters ['order', 'other'] would each take the context" in mistake

    def test_star_parameters_are_refused(self) -> None:
        template = shop()

        @template.step
        def ship(order: Order, *rest: int, **more: int) -> None: ...

        assert len(mistakes_of(template)) == 2

    def test_generators_are_refused(self) -> None:
        template = shop()

        @template.step
        async def ship(order: Order) -> AsyncIterator[int]:
            yield 1

        assert mistakes_of(template) == (
            "step 'ship': its handler is a generator: expected a function that returns its result",
        )

    def test_an_annotation_that_cannot_be_read_is_named(self) -> None:
        template = shop()

        @template.step
        def ship(order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        (mistake,) = mistakes_of(template)
        assert mistake.startswith("step 'ship': its annotations cannot be read: name 'Nowhere' is not defined")

    def test_a_step_of_another_template_is_a_stranger(self) -> None:
        stranger = with_validate(TaskTemplate("shop.other", context=Order))
        template = shop()

        @template.step(after=[stranger])
        def ship(order: Order) -> None: ...

        assert mistakes_of(template) == (
            "step 'ship': it names <step shop.other.validate>: expected a step of the same template",
        )

    def test_a_name_is_no_step(self) -> None:
        template = shop()

        @template.step(after=["validate"])  # type: ignore[list-item]
        def ship(order: Order) -> None: ...

        assert mistakes_of(template) == ("step 'ship': it names 'validate': expected a declared step, not its name",)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"timeout": timedelta(0)}, "its timeout is 0s: expected more than 0 seconds"),
            ({"tiemout": 3}, "it has no option 'tiemout'; did you mean 'timeout'?"),
            ({"colour": 3}, f"it has no option 'colour': expected one of {', '.join(STEP_OPTIONS)}"),
            ({"retry": 5}, "its retry is 5: expected Retry(...)"),
        ],
    )
    def test_a_wrong_option_is_named(self, options: dict[str, Any], said: str) -> None:
        template = shop()

        @template.step(**options)
        def ship(order: Order) -> None: ...

        assert mistakes_of(template) == (f"step 'ship': {said}",)

    @pytest.mark.parametrize("name", ["", "a..b", "1a", "a b", "x" * 101])
    def test_a_template_needs_a_dotted_name(self, name: str) -> None:
        assert "expected dotted identifiers" in mistakes_of(TaskTemplate(name))[0]

    def test_the_librarys_own_namespace_is_taken(self) -> None:
        assert mistakes_of(TaskTemplate("tasker.mine")) == (
            "its name 'tasker.mine': the namespace 'tasker' is the library's own",
        )

    def test_a_function_that_is_no_step_is_told_how_it_becomes_one(self) -> None:
        template = shop()

        def pack() -> int:
            return 1

        @template.step
        def ship(parcels: int = result_of(pack)) -> None: ...  # type: ignore[arg-type]

        (mistake,) = mistakes_of(template)
        assert mistake.endswith("expected a declared step, as the decorator of a template makes one")

    def test_a_step_as_a_default_is_a_forgotten_result_of(self) -> None:
        template = shop()

        @template.step
        def pack() -> int:
            return 1

        @template.step
        def ship(parcels: int = pack) -> None: ...  # type: ignore[assignment]

        assert mistakes_of(template) == (
            "step 'ship': its parameter 'parcels' has step 'pack' itself as its default: expected result_of(pack)",
        )

    def test_what_is_no_template_is_refused_by_the_plugin(self) -> None:
        expected = "TaskerPlugin: it takes task templates, each as an argument of its own, and was given 'shop'"
        with pytest.raises(OptionError, match=expected):
            TaskerPlugin("shop")  # type: ignore[arg-type]

    def test_a_wrong_template_option_is_named(self) -> None:
        assert mistakes_of(TaskTemplate("a.b", on_failure="halt")) == (  # type: ignore[call-overload]
            "its on_failure is 'halt': expected 'continue' or 'stop'",
        )


class TestFitting:
    """`accepts(parameter, result)`: mistakes are found, and what cannot be judged passes."""

    @pytest.mark.parametrize(
        ("wanted", "given", "fits"),
        [
            (int, int, True),
            (int, str, False),
            (Order, VipOrder, True),
            (VipOrder, Order, False),
            (Order | None, Order, True),
            (Order | None, None, True),
            (Order, Order | None, False),
            (int | str, str, True),
            (int, int | str, False),
            (float, int, True),
            (int, float, False),
            (list[int], list[int], True),
            (list[int], list[str], False),
            (Sequence[int], list[int], True),
            (dict[str, Any], dict[str, int], True),
            (list, list[int], True),
            (Any, Order, True),
            (Order, Any, True),
            (object, Order, True),
            (Annotated[int, "x"], int, True),
            (None, None, True),
            (int, None, False),
        ],
    )
    def test_accepts(self, wanted: Any, given: Any, fits: bool) -> None:
        from tasker_temporal.signature import accepts

        assert accepts(wanted, given) is fits
