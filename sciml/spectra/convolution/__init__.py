r"""The singular values of a convolution as the linear map it is.

A circular convolution of stride s is block diagonal over frequencies: its singular values are those of the matrices

.. math:: \frac{1}{\sqrt s} \big[\hat W(f), \hat W(f + M), \dots, \hat W(f + (s - 1) M)\big], \qquad
   \hat W(f) = \sum_t W_t \exp(-2\pi i\, f \cdot t / N),

W_t the tap at t, N the size of the signal and M = N / s that of the output: the s frequencies that alias into one
another form one block. A transposed convolution has those of the convolution that it is the transpose of. With any
other padding the operator itself is applied to vectors (`LayerOperator`), and `norm_bound` holds without the size of
the signal. The reshaped weight (c_out, c_in · taps) has other singular values.

References
----------
Sedghi, Gupta, Long (2019), arXiv:1805.10408, theorem 6.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
