"""Solvers of ordinary, stochastic and jump-diffusion equations, and the paths that drive them. Knows no network."""

from trustworthy.integrate.adjoint import Adjoint
from trustworthy.integrate.brownian import BrownianPath
from trustworthy.integrate.dormand_prince import DormandPrince
from trustworthy.integrate.grid import Grid, steps_of
from trustworthy.integrate.jumps import JumpPath
from trustworthy.integrate.lyapunov import Lyapunov, lyapunov_exponent
from trustworthy.integrate.marks import GaussianMarks, Marks, Ones, Signs
from trustworthy.integrate.noise import Paths, drawn_paths
from trustworthy.integrate.solve import Solution, integrate
from trustworthy.integrate.solvers import RK4, Euler, FixedStep, Heun, Milstein, Solver
from trustworthy.integrate.terms import Terms

__all__ = [
    "RK4",
    "Adjoint",
    "BrownianPath",
    "DormandPrince",
    "Euler",
    "FixedStep",
    "GaussianMarks",
    "Grid",
    "Heun",
    "JumpPath",
    "Lyapunov",
    "Marks",
    "Milstein",
    "Ones",
    "Paths",
    "Signs",
    "Solution",
    "Solver",
    "Terms",
    "drawn_paths",
    "integrate",
    "lyapunov_exponent",
    "steps_of",
]
