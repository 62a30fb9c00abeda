"""The motion of objects and their collisions: a clip's plan under gravity, elasticity and cords (pymunk)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pymunk
from numpy.typing import NDArray

from avssl.world.plan import WEIGHTLESS, ClipPlan, ObjectPlan
from avssl.world.rng import between
from avssl.world.sprites import hull

SIDE = 100.0  # physics units for a side of the picture: pymunk's tolerances are meant for sizes like this

STEPS_A_SECOND = 250  # at least: the time of an event is exact to 4 ms

_QUIETEST = 0.05  # strength; weaker contacts are no events
_REST_SECONDS = 0.05  # in which a second hit of an object is the same event
_OBJECT, _PEBBLE, _FIXED = 1, 2, 3


@dataclass(frozen=True)
class Hit:
    """One event."""

    seconds: float  # on the clip's clock; negative before the first frame
    object: int  # number of the object that was hit
    # Approach speed at the impact (or speed gained by a pluck) over the speed of a fall from half a picture's height.
    strength: float
    direction: tuple[float, float]  # towards the other thing, a unit vector
    cause: str  # "impact" or "pluck"


@dataclass(frozen=True)
class Motion:
    """Where everything is, in picture sides."""

    # x, y of the silhouette's middle and angle in radians, for each frame and object. (frames, objects, 3)
    poses: NDArray[np.float64]
    pebbles: list[list[tuple[float, float, float]]]  # x, y, radius of the pebbles of each frame
    cords: list[tuple[float, float] | None]  # for each object the point its cord hangs from, or None
    # x, y, radius of fixed posts, and the height from which they hang.
    posts: list[tuple[float, float, float]]
    hits: list[Hit]  # in order of time, from before the first frame on


def simulate(
    plan: ClipPlan, objects: tuple[ObjectPlan, ...], frames: int, fps: int, purpose: str = "physics"
) -> Motion:
    """Let ``objects`` move for ``frames`` frames at ``fps`` a second, starting a moment before the first."""
    return _Stage(plan, objects, fps, plan.rng(purpose)).run(frames)


class _Pebble(NamedTuple):
    body: pymunk.Body
    shape: pymunk.Circle

    def place(self) -> tuple[float, float, float]:
        return self.body.position.x / SIDE, self.body.position.y / SIDE, self.shape.radius / SIDE


class _Stage:
    """The space, its bodies, and what has happened so far."""

    def __init__(self, plan: ClipPlan, objects: tuple[ObjectPlan, ...], fps: int, rng: np.random.Generator) -> None:
        self.plan, self.objects, self.rng, self.fps = plan, objects, rng, fps
        self.substeps = math.ceil(STEPS_A_SECOND / fps)
        self.dt = 1.0 / (fps * self.substeps)
        # Energy that is only lost must last the clip.
        # Frames before the first that is shown, so that clips begin in the midst of things.
        self.lead = int(rng.integers(0, math.ceil(fps / 3 if plan.motion == "fall" else fps)))
        self.now = -self.lead / fps
        # Speed of a fall from half a side: sqrt(2 g / 2), in sides a second. Where things glide, about theirs.
        self.speed = math.sqrt(plan.gravity)
        self.space = pymunk.Space()
        self.space.gravity = (0.0, 0.0 if plan.motion in WEIGHTLESS else plan.gravity * SIDE)
        self.space.collision_slop = 0.1  # that shapes may overlap: a thousandth of the picture
        self.space.iterations = 12
        # An object that stands on the floor touches it all the time; there only pebbles and neighbours make events.
        for other in (_OBJECT, _PEBBLE) if plan.motion == "struck" else (_OBJECT, _FIXED):
            self.space.on_collision(_OBJECT, other, post_solve=self._collided)
        hulls = [hull(plan) for plan in objects]
        self.tops = [float(corners[:, 1].min()) for corners in hulls]
        self.bottoms = [float(corners[:, 1].max()) for corners in hulls]
        self.widths = [float(np.ptp(corners[:, 0])) for corners in hulls]
        self.bodies: list[pymunk.Body] = []
        self.numbers: dict[pymunk.Body, int] = {}
        self.pebbles: list[_Pebble] = []
        self.cords: list[tuple[float, float] | None] = [None] * len(objects)
        self.posts: list[tuple[float, float, float]] = []
        self.hits: list[Hit] = []
        self.last_hit = [-9.0] * len(objects)
        self.next_pebble = self.now
        self._room()
        if plan.motion == "swing":
            self._hang()
        else:
            self._place(standing=plan.motion == "struck")

    def run(self, frames: int) -> Motion:
        poses = np.zeros((frames, len(self.objects), 3))
        pebbles: list[list[tuple[float, float, float]]] = []
        for frame in range(-self.lead, frames):
            if frame >= 0:
                poses[frame] = [(b.position.x / SIDE, b.position.y / SIDE, b.angle) for b in self.bodies]
                pebbles.append([pebble.place() for pebble in self.pebbles])
            self._act()
            for step in range(self.substeps):
                # Collisions found within a step get the time at which it ends.
                self.now = frame / self.fps + (step + 1) * self.dt
                self.space.step(self.dt)
        hits = sorted(self.hits, key=lambda hit: (hit.seconds, hit.object))
        return Motion(poses, pebbles, self.cords, self.posts, hits)

    def _room(self) -> None:
        floor = self.plan.floor * SIDE
        edges = [((-50, floor), (150, floor)), ((0, -80), (0, floor)), ((SIDE, -80), (SIDE, floor))]
        for start, end in [*edges, ((-50, -4.0), (150, -4.0))]:
            wall = pymunk.Segment(self.space.static_body, start, end, 0.0)
            wall.elasticity, wall.friction, wall.collision_type = 1.0, 0.5, _FIXED
            # Pebbles fall in through the ceiling and out through the floor, in front of it.
            wall.filter = pymunk.ShapeFilter(categories=0b1 if start[1] == end[1] else 0b10)
            self.space.add(wall)

    def _body(self, plan: ObjectPlan, x: float, y: float, angle: float) -> pymunk.Body:
        """A body with the convex hull of its silhouette; mass depends on size alone, never on kind."""
        corners = [(SIDE * float(x), SIDE * float(y)) for x, y in hull(plan)]
        mass = (plan.size / 0.3) ** 2  # an object of average size has mass 1
        # The moment of inertia, too, depends on size alone: a radius of gyration of 0.45 sizes.
        body = pymunk.Body(mass, mass * (0.45 * plan.size * SIDE) ** 2)
        body.position, body.angle = (SIDE * x, SIDE * y), angle
        shape = pymunk.Poly(body, corners)
        shape.elasticity, shape.friction, shape.collision_type = self.plan.elasticity, 0.4, _OBJECT
        if self.plan.motion == "cross":
            shape.filter = pymunk.ShapeFilter(group=1)  # of one group: they pass through each other
        self.space.add(body, shape)
        self.numbers[body] = len(self.bodies)
        self.bodies.append(body)
        return body

    def _place(self, standing: bool) -> None:
        for number, (plan, x) in enumerate(zip(self.objects, self._slots(), strict=True)):
            ground = self.plan.floor - self.bottoms[number]
            y = ground if standing else between(self.rng, max(0.12, 0.02 - self.tops[number]), max(0.5, 0.7 * ground))
            body = self._body(plan, x, min(y, ground - (0.0 if standing else 0.03)), 0.0)
            self._keep_upright(body, swiftness=3.0 if standing else 2.2)
            if self.plan.motion in WEIGHTLESS:
                heading = between(self.rng, 0.0, 2 * math.pi)
                pace = between(self.rng, 0.8, 1.2) * self.speed * SIDE
                body.velocity = (pace * math.cos(heading), pace * math.sin(heading))
            elif not standing:
                heading = self.speed * SIDE
                body.velocity = (between(self.rng, -0.8, 0.8) * heading, between(self.rng, -0.7, 0.4) * heading)
                body.angular_velocity = between(self.rng, -3.0, 3.0)

    def _keep_upright(self, body: pymunk.Body, swiftness: float) -> None:
        """A spring that turns the body upright, so that it wobbles after a hit, ``swiftness`` times a second."""
        pace = 2 * math.pi * swiftness
        # Stiffness I ω², damping 2 ζ ω I with ζ = 0.25: it overshoots a few times.
        stiffness, damping = body.moment * pace**2, 0.25 * 2 * pace * body.moment
        self.space.add(pymunk.DampedRotarySpring(body, self.space.static_body, 0.0, stiffness, damping))

    def _hang(self) -> None:
        """Each object hangs on a stiff cord from its own point; a post hangs at either end of the row."""
        rests = self._slots()
        level = between(self.rng, 0.46, 0.60)
        for number, (plan, x) in enumerate(zip(self.objects, rests, strict=True)):
            pivot = (x, between(self.rng, -0.12, 0.06))
            length = min(level, self.plan.floor - 0.03 - self.bottoms[number]) - pivot[1]
            angle = between(self.rng, -0.35, 0.35)
            body = self._body(plan, pivot[0] - length * math.sin(angle), pivot[1] + length * math.cos(angle), angle)
            body.angular_velocity = between(self.rng, -2.0, 2.0)
            self.space.add(pymunk.PivotJoint(self.space.static_body, body, (pivot[0] * SIDE, pivot[1] * SIDE)))
            self.cords[number] = pivot
        gaps = self.rng.uniform(0.06, 0.16, 2)
        for x, y in (
            (rests[0] - self.widths[0] / 2 - float(gaps[0]), level + between(self.rng, -0.04, 0.04)),
            (rests[-1] + self.widths[-1] / 2 + float(gaps[1]), level + between(self.rng, -0.04, 0.04)),
        ):
            radius = 0.03
            shape = pymunk.Circle(self.space.static_body, radius * SIDE, (x * SIDE, y * SIDE))
            shape.elasticity, shape.friction, shape.collision_type = 1.0, 0.3, _FIXED
            self.space.add(shape)
            self.posts.append((x, y, radius))

    def _slots(self) -> list[float]:
        """The middles of the objects, side by side with space between them, in their order."""
        widths = np.array(self.widths)
        room = max(1.0 - float(widths.sum()), 0.02)
        gaps = self.rng.dirichlet(np.full(len(widths) + 1, 3.0)) * room
        lefts = np.cumsum(gaps[:-1] + np.concatenate([[0.0], widths[:-1]]))
        return [float(x) for x in lefts + widths / 2]

    def _act(self) -> None:
        """Once a frame: pluck what has come to rest, drop pebbles."""
        if self.plan.motion in ("bounce", "swing"):
            for number, body in enumerate(self.bodies):
                if self.now - self.last_hit[number] > 0.22 and self._at_rest(number, body):
                    self._pluck(number, body)
        elif self.plan.motion == "struck" and self.now >= self.next_pebble:
            self._drop_pebble()
            self.next_pebble = self.now + between(self.rng, 0.22, 0.5) / math.sqrt(len(self.bodies))
        for pebble in [pebble for pebble in self.pebbles if pebble.body.position.y > 1.3 * SIDE]:
            self.space.remove(pebble.body, pebble.shape)
            self.pebbles.remove(pebble)

    def _at_rest(self, number: int, body: pymunk.Body) -> bool:
        speed = body.velocity.length / SIDE / self.speed
        if self.plan.motion == "swing":
            patience = self.now - self.last_hit[number] > 0.6
            return abs(body.angle) < 0.2 and (speed < 0.25 or patience)
        lowest = body.position.y / SIDE + self.bottoms[number]
        return speed < 0.45 and lowest > self.plan.floor - 0.06

    def _pluck(self, number: int, body: pymunk.Body) -> None:
        """Set a resting object going: a hop from the floor, a push on the cord."""
        strength = between(self.rng, 0.55, 0.95)
        side = between(self.rng, -0.5, 0.5)
        pivot = self.cords[number]
        if pivot is not None:
            direction = (math.copysign(1.0, side), 0.0)
            length = math.hypot(body.position.x / SIDE - pivot[0], body.position.y / SIDE - pivot[1])
            body.angular_velocity = -direction[0] * strength * self.speed / length
        else:
            direction = (side / math.hypot(side, 1.0), -1.0 / math.hypot(side, 1.0))
            speed = strength * self.speed * SIDE
            body.velocity = (speed * direction[0], speed * direction[1])
            body.angular_velocity += between(self.rng, -2.0, 2.0)
        self.last_hit[number] = self.now
        self.hits.append(Hit(self.now, number, strength, (-direction[0], -direction[1]), "pluck"))

    def _drop_pebble(self) -> None:
        target = int(self.rng.integers(len(self.bodies)))
        x = self.bodies[target].position.x / SIDE + 0.35 * self.widths[target] * between(self.rng, -1.0, 1.0)
        radius = between(self.rng, 0.022, 0.032)
        mass = 0.25
        body = pymunk.Body(mass, math.inf)
        body.position = (SIDE * min(max(x, 0.05), 0.95), -SIDE * 0.1)
        body.velocity = (between(self.rng, -8.0, 8.0), between(self.rng, 0.2, 0.8) * self.speed * SIDE)
        shape = pymunk.Circle(body, SIDE * radius)
        shape.elasticity, shape.friction, shape.collision_type = 0.8, 0.2, _PEBBLE
        shape.filter = pymunk.ShapeFilter(mask=pymunk.ShapeFilter.ALL_MASKS() ^ 0b1)
        self.space.add(body, shape)
        self.pebbles.append(_Pebble(body, shape))

    def _collided(self, arbiter: pymunk.Arbiter, space: pymunk.Space, data: Any) -> None:
        """Note an event for each object of a collision; contact that merely lasts is none."""
        if not arbiter.is_first_contact:
            return
        bodies = [shape.body for shape in arbiter.shapes if shape.body is not None]
        loads = sum(1.0 / float(body.mass) for body in bodies if body is not self.space.static_body)
        # An elastic impulse is twice the reduced mass times the approach speed; `loads` is the inverse of that mass.
        strength = arbiter.total_impulse.length * loads / (2.0 * SIDE * self.speed)
        if strength < _QUIETEST:
            return
        normal = arbiter.normal
        for body, sign in zip(bodies, (1.0, -1.0), strict=True):
            number = self.numbers.get(body)
            if number is None or self.now - self.last_hit[number] < _REST_SECONDS:
                continue
            self.last_hit[number] = self.now
            self.hits.append(Hit(self.now, number, strength, (sign * normal.x, sign * normal.y), "impact"))
