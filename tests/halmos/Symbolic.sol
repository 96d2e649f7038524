// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {ClaimIssuer} from "../../contracts/ClaimIssuer.sol";
import {ClaimIssuerRegistry} from "../../contracts/ClaimIssuerRegistry.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IdentityFactory} from "../../contracts/IdentityFactory.sol";

/// @dev Halmos's own cheat codes: values that stand for all values at once.
interface SVM {
    function createAddress(string calldata name) external returns (address);
    function createUint256(string calldata name) external returns (uint256);
    function createBytes32(string calldata name) external returns (bytes32);
    function createBytes(uint256 size, string calldata name) external returns (bytes memory);
    function createBool(string calldata name) external returns (bool);
}

/// @dev The whole set with one holder, for proofs over any caller and any arguments. Run by scripts/audit; functions named `check_` are the proofs.
abstract contract SymbolicTest is Test {
    SVM internal constant svm = SVM(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
    uint256 internal constant TOPIC = 0x434C0001;
    address internal constant OWNER = address(0x1001);
    address internal constant MANAGER = address(0x1002);
    address internal constant HOLDER = address(0x1003);
    address internal constant OPERATOR = address(0x1004);
    address internal constant SPECIAL = address(0x1005);

    IdentityFactory internal factory;
    ClaimIssuer internal issuer;
    ClaimIssuerRegistry internal registry;
    IIdentity internal identity;

    function setUp() public virtual {
        factory = new IdentityFactory(OWNER);
        issuer = new ClaimIssuer(MANAGER, address(factory));
        registry = new ClaimIssuerRegistry(OWNER);
        vm.prank(OWNER);
        factory.setDeployer(address(issuer), true);
        vm.prank(MANAGER);
        issuer.setOperator(OPERATOR, true);
        vm.prank(HOLDER);
        identity = IIdentity(factory.createFor(HOLDER, address(issuer)));
    }

    function keyOf(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(account));
    }

    /// @dev Anybody but those who may do everything.
    function anyCallerBut(address one, address other) internal returns (address caller) {
        caller = svm.createAddress("caller");
        vm.assume(caller != one && caller != other);
    }
}
